"""A list of candidates for each row of some data: where it stands, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.data.source import ParquetSource, Source, open_source
from merlin_models_torch.retrieval.keys import RowReader
from merlin_models_torch.schema.facts import is_list


@dataclass(frozen=True)
class Given:
    """Where the candidates of each row are.

    Args:
        column: of lists of ids.
        source: of the column, with a row for each row of the data; the data itself if None.
        everyone: the ids of every row, instead of a column.
    """

    column: str
    source: Source | None = None
    everyone: pa.Array | None = None

    @property
    def in_data(self) -> bool:
        """Whether it is a column of the data."""
        return self.source is None and self.everyone is None

    @property
    def content(self) -> Any:
        """What is beside the data: paths, a table or ids; None for a column of the data."""
        return self.everyone if self.source is None else self.source.content

    @classmethod
    def of(cls, candidates: Any, data: Source, *, item_id: str) -> Given:
        """What a caller means.

        Args:
            candidates: name of a list column of the data; a table, data frame or parquet path with a list
                column of the item id's name and a row for each row of the data; a list of ids for each row;
                or one list of ids for all of them.
            data: the rows.
            item_id: name of the column of lists in a table.

        Raises:
            ValueError: if there is no such column, it holds no lists, or the rows are not as many.
        """
        if isinstance(candidates, str) and all(candidates in s.names for _, s in data.schemas()):
            _check_lists(candidates, data.schemas(), "data")
            return cls(candidates)
        ids = _ids(candidates)
        if ids is not None and not is_list(ids.type):
            return cls(item_id, everyone=ids)
        try:
            source = open_source(candidates if ids is None else pa.table({item_id: ids}))
        except ValueError as error:
            if not isinstance(candidates, str):
                raise
            names = next(iter(data.schemas()))[1].names
            raise ValueError(
                f"candidates is {candidates!r}, which is no column of the data ({', '.join(names)}) and no "
                f"parquet file: {error}"
            ) from error
        _check_lists(item_id, source.schemas(), "candidates")
        if source.num_rows != data.num_rows:
            raise ValueError(
                f"candidates has {source.num_rows} rows and the data {data.num_rows}: give a list of ids for "
                "each row of the data, in its order"
            )
        return cls(item_id, source)

    def reader(
        self, loader: ParquetLoader, keys: Sequence[str], *, streamed: bool, first_row: int = 0
    ) -> Callable[[Tensor], pa.Table]:
        """What gives the candidates of rows by their numbers, and the keys that stand beside them.

        Args:
            loader: of the rows.
            keys: names of the columns that name rows.
            streamed: read row group by row group.
            first_row: number of the loader's first row in all of the data.
        """
        if self.everyone is not None:
            lists = pa.LargeListArray.from_arrays(pa.array([0, len(self.everyone)]), self.everyone)
            one = pa.table({self.column: lists})
            return lambda rows: one.take(pa.array(np.zeros(len(rows), np.int64)))
        # Candidates are original ids, wherever they stand, and coded by who reads them.
        if self.source is None:
            source, names, first_row = loader.source.as_is, [self.column], 0
        else:
            source = self.source.as_is
            known = next(iter(source.schemas()))[1].names
            names = [self.column, *(key for key in keys if key in known and key != self.column)]
        groups = streamed and isinstance(source, ParquetSource)
        parts = source.groups if groups else source.parts  # type: ignore[union-attr]
        read = RowReader(parts, lambda part: source.read(part, names))
        return lambda rows: read.of(rows.clamp(min=0) + first_row)


def _ids(candidates: Any) -> pa.Array | None:
    """Ids, or lists of them, as an Arrow array; None for what is a table or names one."""
    if isinstance(candidates, Tensor):
        candidates = candidates.cpu().numpy()
    if isinstance(candidates, pa.ChunkedArray):
        return candidates.combine_chunks()
    if isinstance(candidates, pa.Array):
        return candidates
    if isinstance(candidates, np.ndarray):
        return pa.array(list(candidates) if candidates.ndim > 1 else candidates)
    if isinstance(candidates, (list, tuple)) and not any(isinstance(one, Path) for one in candidates):
        return pa.array(candidates)
    return None


def _check_lists(column: str, schemas: Iterable[tuple[str, pa.Schema]], what: str) -> None:
    for file, schema in schemas:
        kind = schema.field(column).type if column in schema.names else None
        if kind is None or not is_list(kind):
            have = f"only {', '.join(schema.names)}" if kind is None else f"it as {kind}"
            raise ValueError(
                f"candidates should be lists of ids in column {column!r} of {file}, and the {what} has {have}"
                ": give a list for each row under this name"
            )
