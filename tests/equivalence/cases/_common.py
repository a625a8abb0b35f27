"""What several areas build: the schema of the data, a batch of it, inputs of the usual kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from merlin.schema import Schema
from torch import Tensor
from transformers4rec import torch as tr

from tests.equivalence.side import Side

ITEMS, CATEGORIES, LENGTH = 200, 10, 10


def read_schema(side: Side) -> Schema:
    """The schema of the data: item_id, category (categorical), age_days, price (continuous)."""
    from merlin.io import Dataset

    schema = Dataset(str(side.data / "1" / "train.parquet")).schema
    return schema.select_by_name(["item_id", "category", "age_days", "price"])


def sessions(side: Side, *, rows: int = 6, length: int = LENGTH, name: str = "batch") -> dict[str, Tensor]:
    """A batch as the loader gives it: (B, T), zeros behind each session; one of one item, one full."""
    side.seed(1)
    lengths = torch.randint(2, length + 1, (rows,))
    lengths[:2] = torch.tensor([1, length])
    shown = torch.arange(length) < lengths[:, None]
    batch = {
        "item_id": torch.randint(1, ITEMS + 1, (rows, length)) * shown,
        "category": torch.randint(1, CATEGORIES + 1, (rows, length)) * shown,
        "age_days": torch.rand(rows, length) * shown,
        "price": torch.rand(rows, length) * shown,
    }
    return side.given(name, batch)


def ragged(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same sessions without padding: ``<column>__values`` and ``<column>__offsets``, rows plus one."""
    inside = batch["item_id"] != 0
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), inside.sum(1).cumsum(0)])
    values = {f"{name}__values": x[inside] for name, x in batch.items()}
    return values | {f"{name}__offsets": offsets.clone() for name in batch}


def small_inputs(side: Side, *, width: int = 16, **options: Any) -> Any:
    """Input block over all columns, concatenated and projected to one width, usually with a masking."""
    chosen = {
        "max_sequence_length": LENGTH,
        "continuous_projection": 8,
        "aggregation": "concat",
        "d_output": width,
        "embedding_dim_default": 8,
    }
    return tr.TabularSequenceFeatures.from_schema(read_schema(side), **{**chosen, **options})


def refuses(side: Side, name: str, error: type[Exception], call: Callable[[], Any]) -> None:
    """Both raise this class; a class below it will do, so that what caught the one catches the other."""
    try:
        call()
    except Exception as raised:  # any other class is told of by its name
        side.value(name, error.__name__ if isinstance(raised, error) else type(raised).__name__)
    else:
        side.value(name, "nothing raised")
