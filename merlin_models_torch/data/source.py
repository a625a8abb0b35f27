"""Where rows come from: parquet files, named in any way, or a table in memory."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from merlin_models_torch.data.arrow import leaf_type
from merlin_models_torch.data.coding import Coding, RawIds
from merlin_models_torch.data.errors import DataError
from merlin_models_torch.parquet import LIMIT, ParquetInput
from merlin_models_torch.parquet.file import first_line

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Part:
    """Some rows that are read at once.

    Args:
        name: file, or what a table in memory is called, for errors.
        rows: number of rows.
        first_row: number of its first row in the whole source.
        group: row group of the file; all of them if None.
        row_in_file: number of its first row in the file, for errors.
    """

    name: str
    rows: int
    first_row: int
    group: int | None = None
    row_in_file: int = 0


class _Coded:
    """What sources share: ids become codes when they are read, or stay as they are.

    Args:
        coding: how; None if they stay.
    """

    parts: tuple[Part, ...]

    def __init__(self, coding: Coding | None) -> None:
        self.coding = coding

    @property
    def as_is(self) -> Self:
        """The same rows with the ids that are there."""
        twin = copy(self)
        twin.coding = None
        return twin

    def place(self, row: int) -> str:
        """Where a row of the source is, for errors."""
        part = next(part for part in reversed(self.parts) if part.first_row <= row)
        return f"row {row - part.first_row} of {part.name}"

    def alike(self, data: Any) -> Any:
        """Other data, to be read as this is."""
        return data if self.coding is None or isinstance(data, RawIds) else RawIds(data, self.coding)

    def _types(self, found: pa.Schema, file: str) -> pa.Schema:
        return found if self.coding is None else self.coding.schema(found, where=file)

    def _codes(self, table: pa.Table, part: Part) -> pa.Table:
        return table if self.coding is None else self.coding.table(table, where=part.name)


class TableSource(_Coded):
    """A table in memory as the only part.

    Args:
        table: as it is.
        coding: how its ids become codes when they are read; they stay as they are if None.
    """

    def __init__(self, table: pa.Table, *, coding: Coding | None = None) -> None:
        super().__init__(coding)
        self.table = table
        self.parts = (Part("the table", table.num_rows, 0),)
        self.num_rows: int = table.num_rows

    @property
    def content(self) -> Any:
        """What this is the source of."""
        return self.alike(self.table)

    def schemas(self) -> Iterator[tuple[str, pa.Schema]]:
        """Name and Arrow schema of each file, as it is read."""
        yield "the table", self._types(self.table.schema, "the table")

    def size(self, columns: Sequence[str]) -> int:
        """Bytes that some columns take in memory; 0 since they are there already."""
        return 0

    def read(self, part: Part, columns: Sequence[str], *, encoded: bool = False) -> pa.Table:
        """Some columns of a part.

        Raises:
            DataError: if ids cannot be coded.
        """
        return self._codes(self.table.select(list(columns)), part)


class ParquetSource(_Coded):
    """Parquet files one after the other.

    Args:
        paths: files, in this order.
        limit: bytes that are unpacked at once out of next to nothing.
        coding: how ids become codes when they are read; they stay as they are if None.

    Raises:
        DataError: if one cannot be read as parquet.
    """

    def __init__(self, paths: Sequence[str], *, limit: int = LIMIT, coding: Coding | None = None) -> None:
        super().__init__(coding)
        self.paths = paths
        self._files = {path: ParquetInput(path, error=DataError, limit=limit) for path in paths}
        parts, row = [], 0
        for path in paths:
            rows = self._files[path].metadata.num_rows
            parts.append(Part(path, rows, row))
            row += rows
        self.parts = tuple(parts)
        self.num_rows = row

    @property
    def content(self) -> Any:
        """What this is the source of."""
        return self.alike(list(self.paths))

    @cached_property
    def groups(self) -> tuple[Part, ...]:
        """The row groups of all files as parts."""
        groups = []
        for part in self.parts:
            row = 0
            metadata = self._files[part.name].metadata
            for group in range(metadata.num_row_groups):
                rows = metadata.row_group(group).num_rows
                groups.append(Part(part.name, rows, part.first_row + row, group, row))
                row += rows
        return tuple(groups)

    def schemas(self) -> Iterator[tuple[str, pa.Schema]]:
        """Name and Arrow schema of each file, as it is read."""
        for path, file in self._files.items():
            yield path, self._types(file.schema, path)

    def size(self, columns: Sequence[str]) -> int:
        """Bytes that some columns take in memory, from the files' metadata."""
        return sum(self.size_of(group, columns) for group in self.groups)

    def size_of(self, group: Part, columns: Sequence[str]) -> int:
        """Bytes that some columns of a row group take in memory, from the file's metadata."""
        file = self._files[group.name]
        return sum(chunk.unpacked for name in columns for chunk in file.chunks(name, group.group))

    def bounds(self, part: Part, column: str) -> tuple[int, int] | None:
        """Smallest and largest value of an integer column in a row group; None if the file does not say."""
        if self.coding is not None and column in self.coding.vocabularies:
            return None
        file = self._files[part.name]
        kind = leaf_type(file.schema.field(column).type)
        if not pa.types.is_integer(kind):
            return None
        signed = pa.types.is_signed_integer(kind)
        found = [chunk.bounds(signed=signed) for chunk in file.chunks(column, part.group)]
        known = [ends for ends in found if ends is not None]
        if not known or len(known) < len(found):
            return None
        return min(low for low, _ in known), max(high for _, high in known)

    def read(self, part: Part, columns: Sequence[str], *, encoded: bool = False) -> pa.Table:
        """Some columns of a part.

        Args:
            part: a file, or a row group of it.
            columns: names.
            encoded: whether texts may come as positions in dictionaries.

        Raises:
            DataError: if the file is damaged, what it holds takes too much memory, or ids cannot be coded.
        """
        return self._codes(self._files[part.name].read(columns, part.group, encoded=encoded), part)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Some columns of all files, or all of them; missing in the rows of a file that lacks one.

        Raises:
            DataError: as :meth:`read`, or if a column has types that do not go together.
        """
        tables = [
            file.read(None if columns is None else [name for name in columns if name in file.schema.names])
            for file in self._files.values()
        ]
        try:
            return pa.concat_tables(tables, promote_options="permissive")
        except pa.ArrowException as error:
            raise DataError(
                f"{_listing(self)} have columns that do not go together ({first_line(error)}): "
                "write all files with the same columns"
            ) from error


Source = TableSource | ParquetSource


def open_source(source: Any, *, limit: int = LIMIT) -> Source:
    """Anything that holds rows as a source.

    Args:
        source: a parquet file, a folder of them, a glob, several of these; an Arrow table, record batch or
            dataset (one with a filter, or with columns that are in the names of its folders, is read into
            memory); a pandas or polars data frame; a dict of columns; a merlin.io.Dataset; any of
            these with original ids, as :class:`RawIds`.
        limit: see :class:`ParquetSource`.

    Raises:
        DataError: if there is no such file, or it cannot be read, or there are no rows.
    """
    coding = None
    if isinstance(source, RawIds):
        source, coding = source.data, source.coding
    if isinstance(source, (str, os.PathLike)) or _are_paths(source):
        opened: Source = ParquetSource(find_files(source), limit=limit, coding=coding)
    elif _names_its_files(source):
        files = ParquetSource(find_files(source.files), limit=limit, coding=coding)
        opened = _of_dataset(source, files)
    else:
        opened = TableSource(as_table(source), coding=coding)
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
            below = next(Path(path).glob("*/**/*.parquet"), None)
            raise DataError(
                f"folder {path} holds no file *.parquet: "
                + ("name a folder that does" if below is None else _below(path, below))
            )
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


def _below(path: str, file: Path) -> str:
    """What to do about files in folders of a folder."""
    depth = len(file.relative_to(path).parts) - 1
    return (
        f"those in its folders are named by {os.path.join(path, *['*'] * depth, '*.parquet')!r}, and "
        f"pyarrow.dataset.dataset({path!r}, partitioning='hive') also has the columns in the folders' names"
    )


def _names_its_files(source: Any) -> bool:
    """Whether a source is an Arrow dataset of parquet files."""
    files = getattr(source, "files", None)
    if not hasattr(source, "scanner") or not isinstance(files, list) or not all(map(os.path.isfile, files)):
        return False
    return bool(source.format.default_extname == "parquet")


def _of_dataset(dataset: Any, files: ParquetSource) -> Source:
    """The files of a dataset, or what it makes of them: fewer rows by a filter, columns of folders' names."""
    held = {name for _, schema in files.schemas() for name in schema.names}
    if held.issuperset(dataset.schema.names) and dataset.count_rows() == files.num_rows:
        return files
    return TableSource(dataset.to_table(), coding=files.coding)


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
