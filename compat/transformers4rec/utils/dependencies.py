"""What is installed."""

from __future__ import annotations

from importlib.util import find_spec

from transformers4rec._legacy import legacy


@legacy
def is_gpu_dataloader_available() -> bool:
    """Whether cudf and cupy are installed."""
    return find_spec("cudf") is not None and find_spec("cupy") is not None


@legacy
def is_pyarrow_available() -> bool:
    """Whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


@legacy
def is_merlin_dataloader_available() -> bool:
    """Whether ``merlin.dataloader`` can be imported: the real one or the one that stands in for it."""
    return find_spec("merlin.dataloader") is not None
