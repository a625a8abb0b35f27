"""The drop-in for Transformers4Rec 23.12.0: its names and module paths on top of ``merlin_models_torch``."""

from merlin_migrate.packages import submodules

from transformers4rec._original import refuse_originals

refuse_originals()

__version__ = "23.12.00"

__all__ = ["__version__"]

__getattr__ = submodules(__name__)
