"""Data sets that are generated when a program asks for their files, the same in every run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from merlin_standard_lib import Schema
from numpy.typing import NDArray

from transformers4rec.data.dataset import ParquetDataset
from transformers4rec.data.testing._columns import Column

ROWS = 1000
Lengths = Callable[[np.random.Generator], NDArray[np.int64]]


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Gone with the process."""
    return tempfile.TemporaryDirectory(prefix="transformers4rec-")


class GeneratedDataset(ParquetDataset):
    """Random rows of some columns; files are written when their paths are read.

    Args:
        name: of the folder of the files.
        columns: what there is.
        lengths: draws the lengths of the lists of the rows.
        counts: smallest and largest length in the schema.
        more: further columns, of the table so far and the lengths.
    """

    def __init__(
        self,
        name: str,
        columns: Sequence[Column],
        *,
        lengths: Lengths,
        counts: tuple[int, int],
        more: Callable[[pa.Table, NDArray[np.int64]], pa.Table] | None = None,
    ) -> None:
        self._name = name
        self._columns = tuple(columns)
        self._lengths = lengths
        self._more = more
        self._schema: Any = Schema([c.schema(counts) for c in columns if c.listed])

    def _table(self) -> pa.Table:
        rng = np.random.default_rng(0)
        lengths = self._lengths(rng)
        table = pa.table({column.name: column.values(rng, lengths) for column in self._columns})
        return self._more(table, lengths) if self._more else table

    def _written(self, file: str) -> str:
        folder = os.path.join(_folder().name, self._name)
        if not os.path.isdir(folder):
            import pyarrow.parquet as pq

            os.makedirs(folder)
            pq.write_table(self._table(), os.path.join(folder, "data.parquet"))
            self._schema.save(os.path.join(folder, "schema.json"))
        return os.path.join(folder, file)

    @property
    def path(self) -> str:
        """The parquet file."""
        return self._written("data.parquet")

    @property
    def schema_path(self) -> str:
        """The schema file."""
        return self._written("schema.json")
