"""Input blocks: aggregations, projections, features of every kind."""

from __future__ import annotations

from functools import partial

import torch
from merlin.schema import Schema
from torch import Tensor
from transformers4rec import torch as tr

from tests.equivalence.side import Side


def read_schema(side: Side) -> Schema:
    """The schema of the data: item_id, category (categorical), age_days, price (continuous)."""
    from merlin.io import Dataset

    schema = Dataset(str(side.data / "1" / "train.parquet")).schema
    return schema.select_by_name(["item_id", "category", "age_days", "price"])


def sessions(side: Side, *, rows: int = 6, length: int = 10) -> dict[str, Tensor]:
    """A batch as the loader gives it: (B, T), zeros behind each session; one of one item, one full."""
    side.seed(1)
    lengths = torch.randint(2, length + 1, (rows,))
    lengths[:2] = torch.tensor([1, length])
    shown = torch.arange(length) < lengths[:, None]
    batch = {
        "item_id": torch.randint(1, 201, (rows, length)) * shown,
        "category": torch.randint(1, 11, (rows, length)) * shown,
        "age_days": torch.rand(rows, length) * shown,
        "price": torch.rand(rows, length) * shown,
    }
    return side.given("batch", batch)


def concatenated(side: Side, projected: bool) -> None:
    """Every column beside the others, plain or projected to one width."""
    block = tr.TabularSequenceFeatures.from_schema(
        read_schema(side),
        max_sequence_length=10,
        continuous_projection=64,
        aggregation="concat",
        d_output=32 if projected else None,
    )
    side.weights(block)
    output = block(sessions(side))
    side.close("output", output)
    output.square().sum().backward()
    side.gradients(block)


CASES = {
    "concat": partial(concatenated, projected=False),
    "concat-projected": partial(concatenated, projected=True),
}
