"""The ``merlin`` packages: real ones where they are installed, ours where they are not."""

from pathlib import Path
from pkgutil import extend_path

# Real packages come first: merlin-core's folders lie beside this file or elsewhere on the path. Ours lie in a
# folder whose name no distribution of Merlin has, so that installing or removing one never touches a file of
# the other.
__path__ = extend_path(__path__, __name__)
__path__.append(str(Path(__file__).parent / "_fallbacks_of_merlin_models_torch_compat"))
