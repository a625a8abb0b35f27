"""Batches in the precision of a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch.plugins.precision import Precision
from torch import Tensor

from merlin_models_torch.batch import Batch, Column, Ragged


def in_dtype(batch: Batch, dtype: torch.dtype) -> Batch:
    """The batch with floating-point features of this dtype; loaders give float32."""
    if dtype == torch.float32:
        return batch
    return batch.with_features({name: _column(column, dtype) for name, column in batch.features.items()})


def _column(column: Column, dtype: torch.dtype) -> Column:
    if isinstance(column, Ragged):
        return replace(column, values=_tensor(column.values, dtype))
    return _tensor(column, dtype)


def _tensor(values: Tensor, dtype: torch.dtype) -> Tensor:
    return values.to(dtype) if values.is_floating_point() else values


def accept_batches(precision: Precision) -> None:
    """Lets a precision such as "bf16-true" pass batches on to the model, which casts them itself.

    Lightning casts a data class field by field, and refuses a frozen one.

    Args:
        precision: of a Trainer; changed in place.
    """
    convert = precision.convert_input
    if getattr(convert, "passes_batches", False):
        return

    def convert_input(data: Any) -> Any:
        return data if isinstance(data, Batch) else convert(data)

    convert_input.passes_batches = True  # type: ignore[attr-defined]
    precision.convert_input = convert_input  # type: ignore[method-assign]
