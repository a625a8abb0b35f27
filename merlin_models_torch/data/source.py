"""Where rows come from: parquet files, named in any way, or a table in memory."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from merlin_models_torch.data.errors import DataError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8}
_DAMAGED = "the file is truncated or damaged: write it again"
# What pyarrow raises for damaged files; names that are no text come as the third.
UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError)


@dataclass(frozen=True)
class Part:
    """Some rows that are read at once.

    Args:
        name: file, or what a table in memory is called, for errors.
        rows: number of rows.
        first_row: number of its first row in the whole source.
        group: row group of the file; all of them if None.
    """

    name: str
    rows: int
    first_row: int
    group: int | None = None


class TableSource:
    """A table in memory as the only part."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.parts = (Part("the table", table.num_rows, 0),)
        self.num_rows: int = table.num_rows

    def schemas(self) -> Iterator[tuple[str, pa.Schema]]:
        """Name and Arrow schema of each file."""
        yield "the table", self.table.schema

    def size(self, columns: Sequence[str]) -> int:
        """Bytes that some columns take in memory; 0 since they are there already."""
        return 0

    def read(self, part: Part, columns: Sequence[str]) -> pa.Table:
        """Some columns of a part."""
        return self.table.select(list(columns))


class ParquetSource:
    """Parquet files one after the other.

    Args:
        paths: files, in this order.

    Raises:
        DataError: if one cannot be read as parquet.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths
        self._metadata = {path: _metadata(path) for path in paths}
        parts, row = [], 0
        for path in paths:
            rows = self._metadata[path].num_rows
            parts.append(Part(path, rows, row))
            row += rows
        self.parts = tuple(parts)
        self.num_rows = row

    @cached_property
    def groups(self) -> tuple[Part, ...]:
        """The row groups of all files as parts."""
        groups = []
        for part in self.parts:
            row = part.first_row
            for group in range(self._metadata[part.name].num_row_groups):
                rows = self._metadata[part.name].row_group(group).num_rows
                groups.append(Part(part.name, rows, row, group))
                row += rows
        return tuple(groups)

    def schemas(self) -> Iterator[tuple[str, pa.Schema]]:
        """Name and Arrow schema of each file."""
        for path, metadata in self._metadata.items():
            try:
                schema = metadata.schema.to_arrow_schema()
            except UNREADABLE as error:
                raise DataError(f"{path} cannot be read ({first_line(error)}): {_DAMAGED}") from error
            yield path, schema

    def size(self, columns: Sequence[str]) -> int:
        """Bytes that some columns take in memory, from the files' metadata."""
        return sum(self.size_of(group, columns) for group in self.groups)

    def size_of(self, group: Part, columns: Sequence[str]) -> int:
        """Bytes that some columns of a row group take in memory, from the file's metadata."""
        total = 0
        for name in columns:
            for chunk in self._chunks(group, name):
                total += chunk.num_values * _WIDTHS.get(chunk.physical_type, 16)
        return total

    def bounds(self, part: Part, column: str) -> tuple[int, int] | None:
        """Smallest and largest value of an integer column in a row group; None if the file does not say."""
        lowest, highest = [], []
        for chunk in self._chunks(part, column):
            statistics = chunk.statistics
            if statistics is None or not statistics.has_min_max:
                return None
            if statistics.physical_type not in ("INT32", "INT64"):
                return None
            lowest.append(statistics.min)
            highest.append(statistics.max)
        values = lowest + highest
        return (min(lowest), max(highest)) if values and all(type(v) is int for v in values) else None

    def read(self, part: Part, columns: Sequence[str]) -> pa.Table:
        """Some columns of a part.

        Raises:
            DataError: if the file is damaged.
        """
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(part.name, metadata=self._metadata[part.name]) as file:
                if part.group is None:
                    return file.read(list(columns))
                return file.read_row_group(part.group, list(columns))
        except UNREADABLE as error:
            raise DataError(f"{part.name} cannot be read ({first_line(error)}): {_DAMAGED}") from error

    def _chunks(self, part: Part, column: str) -> Iterator[pq.ColumnChunkMetaData]:
        group = self._metadata[part.name].row_group(part.group)
        for index in range(group.num_columns):
            path = group.column(index).path_in_schema
            if path == column or path.startswith(f"{column}."):
                yield group.column(index)


Source = TableSource | ParquetSource


def open_source(source: Any) -> Source:
    """Anything that holds rows as a source.

    Args:
        source: a parquet file, a folder of them, a glob, several of these; an Arrow table, record batch or
            parquet dataset; a pandas or polars data frame; a dict of columns; a merlin.io.Dataset.

    Raises:
        DataError: if there is no such file, or it cannot be read, or there are no rows.
    """
    files = getattr(source, "files", None)
    if isinstance(source, (str, os.PathLike)) or _are_paths(source):
        opened: Source = ParquetSource(find_files(source))
    elif hasattr(source, "scanner") and isinstance(files, list) and all(map(os.path.isfile, files)):
        opened = ParquetSource(find_files(files))
    else:
        opened = TableSource(as_table(source))
    if not opened.num_rows:
        raise DataError(f"{_listing(opened)} holds no rows: give data with at least one row")
    return opened


def find_files(source: Any) -> list[str]:
    """The parquet files that a path, a folder, a glob or several of these name, in the order of their names.

    Raises:
        DataError: if a path or a glob names nothing, or a folder holds prepared splits.
    """
    if not isinstance(source, (str, os.PathLike)):
        return [file for path in source for file in find_files(path)]
    path = os.fspath(source)
    if os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        files = sorted(str(file) for file in Path(path).glob("*.parquet") if file.name[0] not in "._")
        if not files:
            raise DataError(f"folder {path} holds no file *.parquet: name a folder that does")
        names = {os.path.basename(file) for file in files}
        if {"train.parquet", "test.parquet"} <= names:
            raise DataError(
                f"folder {path} holds {sorted(names)}, which are not to be mixed: name one of these files, "
                "or use SessionDataModule"
            )
        return files
    files = sorted(glob.glob(path, recursive=True))
    if not files:
        what = "no file matches" if glob.has_magic(path) else "there is no file"
        raise DataError(f"{what} {path}: check the path (now in {os.getcwd()})")
    return files


def as_table(data: Any) -> pa.Table:
    """Rows in memory as an Arrow table.

    Raises:
        DataError: if the object holds no rows in a known way.
    """
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, Mapping):
        return _of_columns(data)
    if hasattr(data, "to_table"):  # Arrow datasets and scanners
        return data.to_table()
    if hasattr(data, "to_ddf"):  # merlin.io.Dataset
        data = data.to_ddf().compute()
    if hasattr(data, "iloc"):  # pandas
        try:
            return pa.Table.from_pandas(data, preserve_index=False)
        except pa.ArrowException as error:
            raise DataError(
                f"the data frame does not fit Arrow ({first_line(error)}): give a column values of one type"
            ) from error
    if hasattr(data, "to_arrow"):  # polars
        return data.to_arrow()
    if hasattr(data, "__arrow_c_stream__"):
        return pa.table(data)
    raise DataError(
        f"rows cannot be read from a {type(data).__name__}: give a parquet path, an Arrow table or a frame"
    )


def _of_columns(columns: Mapping[str, Any]) -> pa.Table:
    """A dict of columns: Arrow or numpy arrays, tensors, or sequences; rows of a matrix are lists."""
    arrays = {}
    for name, values in columns.items():
        if hasattr(values, "detach"):
            values = values.detach().cpu().numpy()
        try:
            arrays[name] = pa.array(list(values) if getattr(values, "ndim", 1) > 1 else values)
        except (pa.ArrowException, TypeError) as error:
            raise DataError(
                f"column {name!r} does not fit Arrow ({first_line(error)}): give a sequence of values of one "
                "type, or of lists of them"
            ) from error
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the columns have {lengths} rows: give each as many")
    return pa.table(arrays)


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return str(error).strip().split("\n")[0]


def _metadata(path: str) -> pq.FileMetaData:
    import pyarrow.parquet as pq

    try:
        if not os.path.getsize(path):
            raise DataError(f"{path} is empty (0 bytes): write it again")
        return pq.read_metadata(path)
    except UNREADABLE as error:
        raise DataError(f"{path} is no whole parquet file ({first_line(error)}): {_DAMAGED}") from error


def _are_paths(source: Any) -> bool:
    return (
        isinstance(source, Iterable)
        and isinstance(source, (list, tuple))
        and bool(source)
        and all(isinstance(path, (str, os.PathLike)) for path in source)
    )


def _listing(source: Source) -> str:
    if isinstance(source, TableSource):
        return "the table"
    return (
        source.paths[0] if len(source.paths) == 1 else f"{source.paths[0]} and {len(source.paths) - 1} more"
    )
