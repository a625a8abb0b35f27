"""``merlin.models.utils.dependencies``: whether packages are installed."""

from __future__ import annotations

from importlib.util import find_spec


def is_nvtabular_available() -> bool:
    """Whether NVTabular is."""
    return find_spec("nvtabular") is not None


def is_gpu_dataloader_available() -> bool:
    """Whether cuDF and CuPy are."""
    return find_spec("cudf") is not None and find_spec("cupy") is not None


def is_pyarrow_available() -> bool:
    """Whether pyarrow is."""
    return find_spec("pyarrow") is not None


def is_transformers_available() -> bool:
    """Whether transformers is."""
    return find_spec("transformers") is not None
