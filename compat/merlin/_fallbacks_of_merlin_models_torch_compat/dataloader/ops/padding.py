"""``merlin.dataloader.ops.padding`` where merlin-dataloader is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np
from merlin.core._absent import only
from merlin.dag import BaseOperator, ColumnSelector
from merlin.schema import Schema
from merlin.table import TensorColumn, TensorTable

__getattr__ = only(__name__)


class Padding(BaseOperator):
    """Lists as matrices of one length, filled on the right; longer ones keep their first values.

    Args:
        padding_size: length of the rows.
        padding_value: what fills them.
    """

    def __init__(self, padding_size: int, padding_value: float = 0) -> None:
        self.padding_size = padding_size
        self.padding_value = padding_value

    def transform(self, col_selector: ColumnSelector, transformable: Any) -> Any:
        """The columns, each (B, padding_size), float64 or int64."""
        return TensorTable({name: self._padded(transformable[name]) for name in col_selector.names})

    def _padded(self, column: Any) -> TensorColumn:
        values, offsets = np.asarray(column.values), np.asarray(column.offsets)
        widest = {"f": np.float64, "i": np.int64}.get(values.dtype.kind, values.dtype)
        matrix = np.full((len(offsets) - 1, self.padding_size), self.padding_value, widest)
        lengths = np.minimum(np.diff(offsets), self.padding_size)
        inside = np.arange(self.padding_size) < lengths[:, None]
        matrix[inside] = values[(offsets[:-1, None] + np.arange(self.padding_size))[inside]]
        return TensorColumn(matrix)

    def compute_output_schema(
        self, input_schema: Schema, col_selector: ColumnSelector, prev_output_schema: Schema | None = None
    ) -> Schema:
        """The columns, none of them ragged any more."""
        rows = [(one, one.shape.as_tuple or (None,)) for one in input_schema]
        return Schema([column.with_shape((dims[0], self.padding_size)) for column, dims in rows])
