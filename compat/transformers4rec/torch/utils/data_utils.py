"""Data loaders by Transformers4Rec's names, on ``merlin_models_torch.data.ParquetLoader``."""

from __future__ import annotations

import logging
from typing import Any

from merlin_standard_lib import Schema

from transformers4rec._legacy import also, elsewhere
from transformers4rec.torch.utils._loaders import DLDataLoader, T4RecDataLoader, dataloader_registry
from transformers4rec.torch.utils._merlin_loader import MerlinDataLoader
from transformers4rec.torch.utils._pyarrow_loader import ParquetDataset, PyarrowDataLoader, ShuffleDataset

_HOMES = {"transformers4rec.torch._before_23_12": "NVTabularDataLoader"}
__getattr__ = elsewhere(__name__, _HOMES)
logger = logging.getLogger(__name__)


def to_core_schema(t4rec_schema: Any) -> Any:
    """Any schema as one of ``merlin_models_torch``."""
    from merlin_models_torch.schema import as_schema

    return as_schema(t4rec_schema)


for _class in (DLDataLoader, T4RecDataLoader):
    _class.__module__ = __name__

__all__ = [
    "DLDataLoader",
    "MerlinDataLoader",
    "ParquetDataset",
    "PyarrowDataLoader",
    "Schema",
    "ShuffleDataset",
    "T4RecDataLoader",
    "dataloader_registry",
    "logger",
    "to_core_schema",
]
__all__ += also(__name__, _HOMES)
