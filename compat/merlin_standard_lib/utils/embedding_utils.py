"""Widths of embedding tables from the number of their rows."""

from __future__ import annotations

import math
from typing import Any

from merlin_standard_lib.schema.schema import Schema, categorical_cardinalities

__all__ = [
    "Schema",
    "categorical_cardinalities",
    "get_embedding_size_from_cardinality",
    "get_embedding_sizes_from_schema",
]


def get_embedding_size_from_cardinality(cardinality: int, multiplier: float = 2.0) -> int:
    """The fourth root of the number of ids times a multiplier, rounded up."""
    return math.ceil(math.pow(cardinality, 0.25) * multiplier)


def get_embedding_sizes_from_schema(schema: Any, multiplier: float = 2.0) -> dict[str, int]:
    """That width for each categorical column."""
    return {
        name: get_embedding_size_from_cardinality(rows, multiplier)
        for name, rows in categorical_cardinalities(schema).items()
    }
