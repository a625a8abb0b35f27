"""A made-up batch that fits a schema, for giving lazy modules their sizes."""

from __future__ import annotations

import torch

from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.schema import Schema, Tags


def sample_batch(schema: Schema, *, rows: int = 2, length: int = 3) -> Batch:
    """Rows whose categorical columns hold the id 1 (0 where there is no other) and whose numbers are 0.

    Args:
        schema: columns to make.
        rows: rows of the batch.
        length: values in each list.

    Example:
        >>> sample_batch(click_schema, rows=2).features["item_id"]
        tensor([1, 1])
    """
    features: dict[str, Column] = {}
    for column in schema:
        categorical = Tags.CATEGORICAL in column.tags
        dtype = torch.int64 if categorical else torch.float32
        value = 1 if categorical and schema.cardinality(column.name) > 1 else 0
        if column.is_list:
            values = torch.full((rows * length,), value, dtype=dtype)
            features[column.name] = Ragged(values, torch.arange(rows + 1) * length)
        else:
            features[column.name] = torch.full((rows,), value, dtype=dtype)
    return Batch(features)
