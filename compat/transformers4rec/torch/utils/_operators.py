"""Operators of merlin-dataloader on batches: columns are looked up or changed before padding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from merlin_models_torch.batch import Column, Ragged
from merlin_models_torch.schema import Schema, as_schema


def is_operator(transform: Any) -> bool:
    """Whether a transform of a loader is an operator of ``merlin.dag``, not a function."""
    return hasattr(transform, "compute_output_schema") and hasattr(transform, "transform")


class Operators:
    """Some operators, one after the other.

    Args:
        operators: subclasses of ``merlin.dag.BaseOperator``, real ones or of this package.
        schema: the columns that come to the first, targets left out.

    Raises:
        ValueError: if an operator works on a column that is not there; names both.
    """

    def __init__(self, operators: Iterable[Any], schema: Schema) -> None:
        from merlin.dag import ColumnSelector

        self._steps: list[tuple[Any, Any, list[str]]] = []
        current = _as_merlin(schema)
        for operator in operators:
            key = getattr(operator, "lookup_key", None)
            if key is not None and key not in current.column_names:
                raise ValueError(
                    f"{type(operator).__name__} looks up column {key!r}, the loader has "
                    f"{current.column_names}: name one of them as lookup_key"
                )
            selector = operator.compute_selector(current, ColumnSelector("*"))
            current = operator.compute_output_schema(current, selector)
            self._steps.append((operator, selector, current.column_names))
        self.schema = as_schema(current)

    def __call__(self, columns: Mapping[str, Column]) -> dict[str, Column]:
        """The columns after all of them."""
        from merlin.table import TensorTable

        table = TensorTable({name: _arrays(column) for name, column in columns.items()})
        for operator, selector, names in self._steps:
            table = operator.transform(selector, table)[names]
        return {name: _column(column) for name, column in table.items()}


def _arrays(column: Column) -> Any:
    if isinstance(column, Ragged):
        return column.values.numpy(), column.offsets.numpy()
    return column.numpy()


def _column(column: Any) -> Column:
    values = _tensor(column.values)
    return values if column.offsets is None else Ragged(values, _tensor(column.offsets).long())


def _tensor(array: Any) -> Tensor:
    return array if isinstance(array, Tensor) else torch.from_numpy(np.ascontiguousarray(array))


def _as_merlin(schema: Schema) -> Any:
    """The schema as ``merlin.schema`` has it: the core's own, or one of a real merlin-core."""
    from merlin.schema import ColumnSchema
    from merlin.schema import Schema as Known

    if issubclass(Known, Schema):
        return schema
    return Known(
        [
            ColumnSchema(
                column.name,
                tags=[getattr(tag, "value", tag) for tag in column.tags],
                properties=dict(column.properties),
                dtype=column.dtype.name,
                dims=column.dims,
            )
            for column in schema
        ]
    )
