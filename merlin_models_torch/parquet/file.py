"""One parquet file, looked at before it is read: the one way in which the project reads parquet."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from merlin_models_torch.parquet.footer import Chunk, Pages, read_footer, read_pages
from merlin_models_torch.parquet.thrift import ThriftError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

LIMIT = 4 * 2**30
"""Bytes that are read at once although they are unpacked from next to nothing."""

# Columns of equal values come to twice as much, but real data has no 4 GiB of them in what is read at once.
_RATIO = 1000
# What Arrow's offsets of 32 bits allow for with room to spare.
_TEXT = 2**30
_SHORT = (pa.string(), pa.binary())
_TEXTS = (*_SHORT, pa.large_string(), pa.large_binary())
_LISTS = (pa.ListArray, pa.LargeListArray, pa.FixedSizeListArray)
_DAMAGED = "the file is truncated or damaged: write it again"
_TOO_LARGE = "it is damaged, or a row group does not fit the memory there is: write fewer rows into each"
_LIFT = "give the table that pyarrow.parquet.read_table reads, or a ParquetLoader a larger memory_limit"
# Rows of texts that are read at once, fewer where one text may be long.
_ROWS = 2**16
# What pyarrow raises for damaged files; names that are no text come as the third.
_UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError)


class ParquetInput:
    """A file whose footer is whole, and of which no more is unpacked than a limit allows for.

    Args:
        path: of the file.
        error: what is raised.
        limit: bytes in memory that a read may come to where they are more than a thousand times those in the
            file. There is no limit to data that takes its room in the file as well.

    Raises:
        ValueError: an ``error``, if the file is no whole parquet file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        error: type[ValueError],
        limit: int = LIMIT,
    ) -> None:
        import pyarrow.parquet as pq

        self.path = os.fspath(path)
        self._error = error
        self._limit = limit
        try:
            self._size = os.path.getsize(path)
            if not self._size:
                raise error(f"{path} is empty (0 bytes): write it again")
            self.metadata: pq.FileMetaData = pq.read_metadata(path)
        except _UNREADABLE as found:
            raise error(f"{path} is no whole parquet file ({first_line(found)}): {_DAMAGED}") from found

    @cached_property
    def schema(self) -> pa.Schema:
        """Names and Arrow types of the columns."""
        try:
            return self.metadata.schema.to_arrow_schema()
        except _UNREADABLE as found:
            raise self._unreadable(found) from found

    @cached_property
    def groups(self) -> tuple[tuple[Chunk, ...], ...]:
        """The column chunks of each row group."""
        try:
            with Path(self.path).open("rb") as file:
                groups = read_footer(file)
            if len(groups) != self.metadata.num_row_groups:
                raise ThriftError(f"{len(groups)} row groups instead of {self.metadata.num_row_groups}")
        except (ThriftError, OSError) as found:
            raise self._unreadable(found) from found
        return groups

    def chunks(self, column: str, group: int | None = None) -> list[Chunk]:
        """Those of a column, in one row group or all of them."""
        groups = self.groups if group is None else self.groups[group : group + 1]
        return [chunk for one in groups for chunk in one if chunk.path[0] == column]

    def read(
        self, columns: Sequence[str] | None = None, group: int | None = None, *, encoded: bool = False
    ) -> pa.Table:
        """Some columns of a row group, or of the file.

        Args:
            columns: names; all if None.
            group: number of the row group; all of them if None.
            encoded: whether texts that repeat may come as positions in dictionaries.

        Raises:
            ValueError: an ``error``, if the file is damaged or what it holds takes too much memory.
        """
        names = list(self.schema.names if columns is None else columns)
        self._check(names, group)
        for name in dict.fromkeys(names):
            self._check_lists_of_texts(name, group)
        texts = [name for name in names if self._is_text(name, group)]
        # To make those that differ into positions takes eight times as long.
        distinct = {name: rows for name in texts if (rows := self._distinct(name, group)) is not None}
        others = [name for name in names if name not in distinct]
        coded = [name for name in texts if name not in distinct]
        plain = [name for name in coded if not (encoded and self.schema.field(name).type in _SHORT)]
        try:
            table = self._coded(others, coded, plain, group)
            for name, rows in distinct.items():
                table = self._with(table, name, names, self._texts(name, group, rows))
            self._check_rows(table, group)
            return table
        except _UNREADABLE as found:
            raise self._unreadable(found) from found

    def _coded(
        self, names: Sequence[str], coded: Sequence[str], plain: Sequence[str], group: int | None
    ) -> pa.Table:
        """Some columns, of which some are read as positions, and some of these made into texts again."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path, metadata=self.metadata, read_dictionary=coded) as file:
            table = self._table(file, names, group)
            wide = [name for name in coded if self._text_bytes(table, name, group) > _TEXT]
        if any(name in wide for name in plain):
            with pq.ParquetFile(self.path, metadata=self.metadata) as file:
                return self._table(file, names, group)
        for name in plain:
            table = self._with(table, name, names, table.column(name).cast(self.schema.field(name).type))
        return table

    def _table(self, file: pq.ParquetFile, names: Sequence[str], group: int | None) -> pa.Table:
        return file.read(list(names)) if group is None else file.read_row_group(group, list(names))

    def _with(self, table: pa.Table, name: str, names: Sequence[str], column: pa.ChunkedArray) -> pa.Table:
        """A table with a column as it should be, in its place among the names."""
        field, place = self.schema.field(name), table.schema.get_field_index(name)
        if place >= 0:
            return table.set_column(place, field, column)
        before = {*names[: list(names).index(name)]}
        return table.add_column(sum(other in before for other in table.column_names), field, column)

    def _check_rows(self, table: pa.Table, group: int | None) -> None:
        """Refuses columns of other lengths than the footer says, and texts that are none."""
        metadata = self.metadata if group is None else self.metadata.row_group(group)
        for name, column in zip(table.column_names, table.columns, strict=True):
            if len(column) != metadata.num_rows:
                found = f"column {name!r} has {len(column):,} rows instead of {metadata.num_rows:,}"
                raise self._unreadable(ThriftError(found))
        table.validate(full=True)

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Some columns, so many rows at a time.

        Raises:
            ValueError: an ``error``, as :meth:`read`; the limit is for each row group.
        """
        import pyarrow.parquet as pq

        for group in range(len(self.groups)):
            self._check(columns, group)
        try:
            with pq.ParquetFile(self.path, metadata=self.metadata) as file:
                yield from file.iter_batches(batch_size=rows, columns=list(columns))
        except _UNREADABLE as found:
            raise self._unreadable(found) from found

    def _check(self, columns: Sequence[str], group: int | None) -> None:
        """Refuses what is unpacked from next to nothing and takes too much memory."""
        self._check_pages(columns, group)
        sizes = {}
        for name in dict.fromkeys(columns):
            chunks = self.chunks(name, group)
            size = sum(chunk.unpacked for chunk in chunks)
            if size > _RATIO * self._packed(chunks):
                sizes[name] = size
        if sum(sizes.values()) > self._limit:
            name = max(sizes, key=sizes.__getitem__)
            chunks = self.chunks(name, group)
            values = sum(chunk.values for chunk in chunks)
            raise self._too_large(name, group, sizes[name], self._packed(chunks), f"{values:,} values")

    def _check_pages(self, columns: Sequence[str], group: int | None) -> None:
        """Refuses lists whose pages hold more than the footer says: pyarrow would read all of it."""
        lists = [chunk for name in columns for chunk in self.chunks(name, group) if len(chunk.path) > 1]
        for chunk in lists:
            if (found := self._pages(chunk).values) != chunk.values:
                raise self._unreadable(
                    ThriftError(f"column {chunk.path[0]!r} has {found:,} values instead of {chunk.values:,}")
                )

    def _check_lists_of_texts(self, name: str, group: int | None) -> None:
        """Refuses lists of texts that repeat positions in a dictionary until they take too much memory."""
        import pyarrow.parquet as pq

        places = self.schema.get_all_field_indices(name)
        chunks = [chunk for chunk in self.chunks(name, group) if chunk.values]
        if len(places) != 1 or not chunks or _innermost(self.schema.field(places[0]).type) not in _TEXTS:
            return
        pages = [self._pages(chunk) for chunk in chunks]
        # No text is longer than all that is in its page, and without a dictionary each has room of its own.
        most = sum(one.values for one in pages) * max(one.largest for one in pages)
        if most <= self._limit or not any(one.positions for one in pages):
            return
        path = ".".join(chunks[0].path)
        try:
            with pq.ParquetFile(self.path, metadata=self.metadata, read_dictionary=[path]) as file:
                self._text_bytes(self._table(file, [name], group), name, group)
        except _UNREADABLE as found:
            raise self._unreadable(found) from found

    def _packed(self, chunks: Sequence[Chunk]) -> int:
        """Bytes that chunks take in the file, which may tell the same bytes several times."""
        return min(sum(chunk.packed for chunk in chunks), self._size)

    def _is_text(self, name: str, group: int | None) -> bool:
        chunks = self.chunks(name, group)
        places = self.schema.get_all_field_indices(name)
        plain = len(places) == 1 and self.schema.field(places[0]).type in _TEXTS
        return plain and bool(chunks) and all(chunk.is_text for chunk in chunks)

    def _distinct(self, name: str, group: int | None) -> int | None:
        """Rows that are read at once of texts that are not positions in dictionaries; None for these."""
        pages = [self._pages(chunk) for chunk in self.chunks(name, group)]
        if 2 * sum(one.positions for one in pages) >= sum(one.values for one in pages):
            return None
        # No text is longer than all that is in its page.
        longest = max(one.largest for one in pages)
        return max(1, min(_ROWS, max(self._limit, _TEXT) // 2 // max(longest, 1)))

    def _pages(self, chunk: Chunk) -> Pages:
        try:
            with Path(self.path).open("rb") as file:
                return read_pages(file, chunk)
        except (ThriftError, OSError) as error:
            raise self._unreadable(error) from error

    def _texts(self, name: str, group: int | None, rows: int, *, counted: bool = False) -> pa.ChunkedArray:
        """A column of texts, which may say of each only how much it shares with the one before.

        What comes out of next to nothing is counted before it is kept.

        Raises:
            ValueError: an ``error``, as soon as they have come to too much.
        """
        import pyarrow.parquet as pq

        groups = range(len(self.groups)) if group is None else [group]
        packed = self._packed(self.chunks(name, group))
        pieces: list[pa.Array] = []
        size = count = 0
        kept = True
        with pq.ParquetFile(self.path, metadata=self.metadata) as file:
            for number in groups:
                own: list[pa.Array] = []
                for batch in file.iter_batches(batch_size=rows, row_groups=[number], columns=[name]):
                    own.append(batch.column(name))
                    size += own[-1].nbytes
                    count += len(own[-1])
                    if not counted and size > _RATIO * packed:
                        kept = False
                        own.clear()
                        pieces.clear()
                        if size > self._limit:
                            raise self._too_large(name, group, size, packed, f"the first {count:,} texts")
                whole = sum(piece.nbytes for piece in own) <= _TEXT
                pieces += [pa.concat_arrays(own)] if own and whole else own
        if not kept:
            return self._texts(name, group, rows, counted=True)
        return pa.chunked_array(pieces, self.schema.field(name).type)

    def _text_bytes(self, table: pa.Table, name: str, group: int | None) -> int:
        """Bytes of the longest piece of a column of texts that was read as positions in dictionaries."""
        import pyarrow.compute as pc

        total = most = 0
        for piece in table.column(name).chunks:
            while isinstance(piece, _LISTS):
                piece = piece.flatten()
            if not pa.types.is_dictionary(piece.type):
                continue
            lengths = pc.binary_length(piece.dictionary).cast(pa.int64())
            size = pc.sum(lengths.take(piece.indices)).as_py() or 0
            total, most = total + size, max(most, size)
        packed = self._packed(self.chunks(name, group))
        if total > self._limit and total > _RATIO * packed:
            raise self._too_large(name, group, total, packed, f"{table.num_rows:,} texts")
        return most

    def _too_large(self, name: str, group: int | None, size: int, packed: int, what: str) -> ValueError:
        where = "" if group is None else f", row group {group},"
        return self._error(
            f"column {name!r} of {self.path}{where} unpacks {packed:,} bytes to {size:,} in memory ({what}), "
            f"expected at most {self._limit:,} where it is more than {_RATIO:,} times as many: "
            f"if the data is what it should be, write it with fewer rows in a row group, {_LIFT}"
        )

    def _unreadable(self, found: Exception) -> ValueError:
        mend = _TOO_LARGE if isinstance(found, MemoryError) else _DAMAGED
        return self._error(f"{self.path} cannot be read ({first_line(found)}): {mend}")


def _innermost(kind: pa.DataType) -> pa.DataType | None:
    """The type of the values in lists; None if it is no list."""
    inner = None
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = kind = kind.value_type
    return inner


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return str(error).strip().split("\n")[0]
