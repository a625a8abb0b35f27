"""Says so when what this replaces is still installed."""

from __future__ import annotations

import warnings
from importlib.metadata import PackageNotFoundError, distribution

_MEND = (
    "run `pip uninstall transformers4rec merlin-models` and then "
    "`pip install --force-reinstall --no-deps merlin-models-torch-compat`"
)


def _installed(name: str) -> str | None:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def refuse_originals() -> None:
    """Stops the import beside an installed Transformers4Rec, whose files have the same names.

    Raises:
        ImportError: if the distribution ``transformers4rec`` is installed.
    """
    if version := _installed("transformers4rec"):
        raise ImportError(
            f"transformers4rec {version} and merlin-models-torch-compat are both installed and overwrite "
            f"each other's files: {_MEND}"
        )
    if version := _installed("merlin-models"):
        warnings.warn(
            f"merlin-models {version} is installed beside merlin-models-torch-compat, which is not "
            f"supported: {_MEND}",
            UserWarning,
            stacklevel=3,
        )
