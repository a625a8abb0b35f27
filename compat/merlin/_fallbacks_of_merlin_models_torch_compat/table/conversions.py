"""``merlin.table.conversions`` where merlin-core is not installed: columns as another kind of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from merlin.core._absent import only
from merlin.table.tensor_column import NumpyColumn, TensorColumn, TorchColumn

__getattr__ = only(__name__)


def _tensor(array: Any) -> torch.Tensor:
    """The array as a tensor; one that may not be written to, as pandas gives them, is copied."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())


_CONVERT: dict[Any, Callable[[Any], Any]] = {NumpyColumn: np.asarray, TorchColumn: _tensor}


def convert_col(
    column: TensorColumn,
    target_type: Any,
    _to_dlpack_fn: Any = None,
    _from_dlpack_fn: Any = None,
    _unsafe: bool = False,
) -> TensorColumn:
    """The same column as another kind, sharing its memory where NumPy and torch can.

    Args:
        column: the column.
        target_type: ``NumpyColumn`` or ``TorchColumn``; a column of this kind comes back as it is.

    Returns:
        The column, its values and offsets of the kind's arrays.

    Raises:
        NotImplementedError: for another kind.
    """
    if isinstance(column, target_type):
        return column
    if target_type not in _CONVERT:
        raise NotImplementedError(
            f"a {type(column).__name__} cannot become {target_type!r}: NumpyColumn and TorchColumn are known"
        )
    convert, offsets = _CONVERT[target_type], column.offsets
    made: TensorColumn = target_type(
        convert(column.values), None if offsets is None else convert(offsets), _unsafe=_unsafe
    )
    return made
