"""``merlin.table.tensor_table`` where merlin-core is not installed: columns by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from merlin.core._absent import only
from merlin.dag.utils import group_values_offsets
from merlin.table.conversions import convert_col
from merlin.table.tensor_column import Device, NumpyColumn, TensorColumn, TorchColumn

__getattr__ = only(__name__)


class TensorTable:
    """Columns by name, all arrays of NumPy or all tensors, in the same memory.

    Args:
        columns: columns, arrays, or pairs of values and offsets, by name; lists also as ``<name>__values``
            and ``<name>__offsets``.

    Raises:
        TypeError: if they are of several kinds.
        ValueError: if they are on several devices.
    """

    def __init__(self, columns: Mapping[str, Any] | None = None, _unsafe: bool = False) -> None:
        self._columns: dict[str, Any] = {}
        for name, column in group_values_offsets(columns or {}).items():
            if not isinstance(column, TensorColumn):
                parts = column if isinstance(column, tuple) else (column,)
                column = TensorColumn(*parts, _unsafe=_unsafe)
            self._columns[name] = column
        if not _unsafe:
            kinds = sorted({type(column).__name__ for column in self._columns.values()})
            if len(kinds) > 1:
                raise TypeError(f"a table has columns of one kind, not of {kinds}: convert some of them")
            devices = sorted({column.device.name for column in self._columns.values()})
            if len(devices) > 1:
                raise ValueError(f"a table has columns on one device, not on {devices}: move some of them")

    @classmethod
    def from_df(cls, df: Any, schema: Any = None) -> TensorTable:
        """The columns of a data frame of pandas; lists become ragged columns."""
        table = cls()
        for name in df.columns:
            values = df[name].to_numpy()
            lists = values.dtype == object and len(values) > 0 and hasattr(values[0], "__len__")
            if lists and not isinstance(values[0], str):
                table[name] = NumpyColumn([list(row) for row in values])
            else:
                table[name] = NumpyColumn(values)
        return table

    def to_df(self) -> Any:
        """A data frame of pandas; list columns hold lists."""
        import pandas as pd

        return pd.DataFrame({name: _rows(column.cpu()) for name, column in self.items()})

    def as_tensor_type(self, tensor_type: Any) -> TensorTable:
        """The same columns as another kind of arrays.

        Args:
            tensor_type: ``numpy.ndarray``, ``torch.Tensor``, ``NumpyColumn`` or ``TorchColumn``.

        Raises:
            ValueError: for another.
        """
        if tensor_type in (np.ndarray, NumpyColumn):
            kind: type[TensorColumn] = NumpyColumn
        elif tensor_type in (torch.Tensor, TorchColumn):
            kind = TorchColumn
        else:
            raise ValueError(
                f"columns cannot become {tensor_type!r}: numpy.ndarray, torch.Tensor, NumpyColumn and "
                "TorchColumn are known"
            )
        return TensorTable({name: convert_col(column, kind) for name, column in self.items()})

    @property
    def columns(self) -> list[str]:
        """Names of the columns; as many new ones rename them."""
        return list(self._columns)

    @columns.setter
    def columns(self, names: Any) -> None:
        self._columns = dict(zip(names, self._columns.values(), strict=True))

    @property
    def device(self) -> Device:
        """Where the values are."""
        device: Device = next(iter(self._columns.values())).device
        return device

    @property
    def column_type(self) -> type:
        """The class of the columns."""
        return type(next(iter(self._columns.values())))

    def dtypes(self) -> list[Any]:
        """Types of the columns."""
        return [column.dtype for column in self._columns.values()]

    def to_dict(self) -> dict[str, Any]:
        """Arrays by name; lists of differing length as ``<name>__values`` and ``<name>__offsets``."""
        flat = {}
        for name, column in self.items():
            if column.offsets is None:
                flat[name] = column.values
            else:
                flat[f"{name}__values"], flat[f"{name}__offsets"] = column.values, column.offsets
        return flat

    def cpu(self) -> TensorTable:
        """The same columns in the memory of the host."""
        return TensorTable({name: column.cpu() for name, column in self.items()})

    def gpu(self) -> TensorTable:
        """The same columns in the memory of a GPU."""
        return TensorTable({name: column.gpu() for name, column in self.items()})

    def copy(self) -> TensorTable:
        """Another table of the same columns."""
        return TensorTable(self._columns)

    def update(self, other: TensorTable) -> None:
        """Takes the columns of another table."""
        self._columns.update(other._columns)

    def pop(self, column_name: str) -> Any:
        """Takes a column out."""
        return self._columns.pop(column_name)

    def keys(self) -> Any:
        """Names of the columns."""
        return self._columns.keys()

    def values(self) -> Any:
        """The columns."""
        return self._columns.values()

    def items(self) -> Any:
        """Pairs of both."""
        return self._columns.items()

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, list):
            return TensorTable({name: self._columns[name] for name in key})
        return self._columns[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._columns[key] = value

    def __delitem__(self, key: str) -> None:
        del self._columns[key]


def _rows(column: Any) -> Any:
    """The rows of a column as a data frame takes them."""
    if column.offsets is None and column.values.ndim == 1:
        return np.asarray(column.values)
    return [column[row].tolist() for row in range(len(column))]
