"""Columns of random values and the schema that tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from merlin_standard_lib import ColumnSchema
from merlin_standard_lib.proto.schema_bp import Annotation, FeatureType, FloatDomain, IntDomain, ValueCount
from numpy.typing import NDArray


@dataclass(frozen=True)
class Column:
    """One column of random values.

    Args:
        name: of it.
        low: smallest value.
        high: largest value.
        dtype: of the values.
        lists: whether a row holds several.
        tags: of the column in the schema, separated by spaces.
        domain: bounds in the schema; none if not given.
        skewed: whether small values are more frequent, as ids of popular items are.
        listed: whether the schema has it at all.
        typed: whether the schema tells its type.
        whole: whether floating-point numbers are whole.
    """

    name: str
    low: float
    high: float
    dtype: str = "int64"
    lists: bool = False
    tags: str = ""
    domain: tuple[float, float] | None = None
    skewed: bool = False
    listed: bool = True
    typed: bool = True
    whole: bool = False

    def values(self, rng: np.random.Generator, lengths: NDArray[np.int64]) -> pa.Array:
        """Values for rows of these lengths."""
        count = int(lengths.sum()) if self.lists else len(lengths)
        share = rng.random(count) ** (3 if self.skewed else 1)
        if self.whole or self.dtype.startswith("int"):
            drawn = np.floor(self.low + share * (self.high - self.low + 1)).clip(max=self.high)
        else:
            drawn = self.low + share * (self.high - self.low)
        values = pa.array(drawn.astype(self.dtype))
        return in_lists(values, lengths) if self.lists else values

    def schema(self, counts: tuple[int, int]) -> ColumnSchema:
        """What the schema says of it.

        Args:
            counts: smallest and largest number of values in a row, of lists.
        """
        ids, floats = self.dtype.startswith("int"), self.dtype.startswith("float")
        bounds: dict[str, Any] = {}
        if self.domain is not None and ids:
            low, high = (int(bound) for bound in self.domain)
            bounds["int_domain"] = IntDomain(self.name, low, high, is_categorical=True)
        elif self.domain is not None and floats:
            bounds["float_domain"] = FloatDomain(self.name, *self.domain)
        kind = FeatureType.INT if ids else FeatureType.FLOAT
        return ColumnSchema(
            self.name,
            type=kind if self.typed else None,
            value_count=ValueCount(*counts) if self.lists else None,
            annotation=Annotation(tag=self.tags.split()),
            **bounds,
        )


def in_lists(values: pa.Array, lengths: NDArray[np.int64]) -> pa.Array:
    """Values as lists of these lengths, one a row."""
    return pa.ListArray.from_arrays(pa.array(np.r_[0, lengths.cumsum()].astype(np.int32)), values)
