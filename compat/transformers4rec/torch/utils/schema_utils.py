"""Random batches of a schema's columns."""

from __future__ import annotations

import random
from typing import Any

import torch

from merlin_models_torch.schema import ColumnSchema, as_schema
from transformers4rec._legacy import elsewhere, legacy
from transformers4rec.torch.typing import TabularData

__getattr__ = elsewhere(__name__, {"merlin_standard_lib": "Schema"})


@legacy
def random_data_from_schema(
    schema: Any,
    num_rows: int,
    max_session_length: int | None = None,
    min_session_length: int = 5,
    device: Any = None,
    ragged: bool = False,
    seed: int = 0,
) -> TabularData:
    """A batch of random data; lists of a row are as long as one another.

    Args:
        schema: of the columns.
        num_rows: rows of the batch.
        max_session_length: longest list, and width of the matrices; if not given, lists are as long as their
            value counts allow.
        min_session_length: shortest list.
        device: of the tensors.
        ragged: whether lists are given as ``<column>__values`` and ``<column>__offsets``.
        seed: of the values, where it is not 0; torch's own generator draws them otherwise.

    Returns:
        Ids int64 from 1 to below the largest; numbers float32 from 0 to 1. Lists (B, T), padded with 0.
    """
    chance = random.Random(seed)
    generator = torch.Generator().manual_seed(seed) if seed else None
    columns = {column.name: column for column in as_schema(schema)}
    rows: dict[str, list[torch.Tensor]] = {name: [] for name in columns}
    # Row by row, as 23.12.0 drew: one seed gives the same batch.
    for _ in range(num_rows):
        shared = chance.randint(min_session_length, max_session_length) if max_session_length else None
        for name, column in columns.items():
            size = (shared or _longest(column, min_session_length),) if column.value_count else _inner(column)
            rows[name].append(_draw(column, size, generator))
    outputs: TabularData = {}
    for name, column in columns.items():
        if not column.value_count:
            outputs[name] = torch.stack(rows[name]).to(device)
            continue
        lengths = torch.tensor([len(row) for row in rows[name]])
        values = torch.cat(rows[name])
        if ragged:
            offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
            outputs[f"{name}__values"] = values.to(device)
            outputs[f"{name}__offsets"] = offsets.to(device)
        else:
            width = max_session_length or int(lengths[0])
            matrix = torch.zeros(num_rows, width, dtype=values.dtype)
            matrix[torch.arange(width) < lengths[:, None]] = values
            outputs[name] = matrix.to(device)
    return outputs


def _longest(column: ColumnSchema, otherwise: int) -> int:
    """The most values that a row may have, by the schema."""
    return int((column.value_count and column.value_count.max) or otherwise)


def _inner(column: ColumnSchema) -> tuple[int, ...]:
    """What a row holds beside lists: nothing, or a vector."""
    return tuple(int(size.max or 0) for size in (column.shape.dims or ())[1:])


def _draw(column: ColumnSchema, size: tuple[int, ...], generator: torch.Generator | None) -> torch.Tensor:
    if not column.int_domain:
        return torch.rand(size, generator=generator)
    return torch.randint(1, max(int(column.int_domain.max or 0), 2), size, generator=generator)
