"""The rows of a source in the order of an epoch: held in memory, or streamed by row groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from merlin_models_torch.batch import Ragged
from merlin_models_torch.data.errors import DataError
from merlin_models_torch.data.order import Share, batches_of
from merlin_models_torch.data.reader import Reader
from merlin_models_torch.data.source import Part
from merlin_models_torch.data.table import Cut, TensorTable, concatenate

Pick = tuple[TensorTable, Tensor]


@dataclass(frozen=True)
class Bucketing:
    """Which batches are sorted by length.

    Args:
        column: list column whose lengths count.
        window: batches that are sorted together.
        cut: how the lists are cut, since longer ones are all equally long then.
    """

    column: str
    window: int
    cut: Cut

    def lengths(self, table: TensorTable) -> Tensor:
        """(N,) int64 length of each row as a batch will hold it."""
        column = table.columns[self.column]
        if not isinstance(column, Ragged):
            raise DataError(f"bucketing needs a list column, and {self.column!r} is none")
        if self.cut.length is None or self.column not in self.cut.columns:
            return column.lengths
        return column.lengths.clamp(max=self.cut.length)


@dataclass(frozen=True)
class HeldRows:
    """Rows in memory, shuffled exactly.

    Args:
        table: all of them.
    """

    table: TensorTable

    def __len__(self) -> int:
        return len(self.table)

    @property
    def sample(self) -> TensorTable:
        """Some rows, to decide by."""
        return self.table

    def picks(
        self, own: Share, generator: torch.Generator | None, bucketing: Bucketing | None
    ) -> Iterator[Pick]:
        """The table and (B,) int64 the rows of it that are the next batch, for a rank's share of an epoch."""
        if not own.sizes:
            return
        rows = len(self)
        order = torch.arange(rows) if generator is None else torch.randperm(rows, generator=generator)
        for index in _batches(self.table, order[own.start : own.stop], own.sizes, generator, bucketing):
            yield self.table, index


class StreamedRows:
    """Row groups in shuffled order; their rows mixed within ``buffer`` of them, the next ones read meanwhile.

    Args:
        reader: reads a row group.
        parts: all row groups.
        buffer: row groups that are mixed.
        limit: bytes that the mixed ones may take, if there are more than one; None for no limit.
    """

    def __init__(
        self, reader: Reader, parts: Sequence[Part], *, buffer: int, limit: int | None = None
    ) -> None:
        counted = [(part, reader.kept_rows(part)) for part in parts]
        self._parts = [(part, rows) for part, rows in counted if rows]
        self._reader = reader
        self._buffer = buffer
        self._limit = limit
        self._rows = sum(rows for _, rows in self._parts)
        self.sample = reader.read(self._parts[0][0] if self._parts else parts[0])

    def __len__(self) -> int:
        return self._rows

    def picks(
        self, own: Share, generator: torch.Generator | None, bucketing: Bucketing | None
    ) -> Iterator[Pick]:
        """The rows read last and (B,) int64 those of them that are the next batch, for a rank's share."""
        if not own.sizes:
            return
        order: Sequence[int] = range(len(self._parts))
        if generator is not None:
            order = torch.randperm(len(self._parts), generator=generator).tolist()
        groups = list(self._mixed(self._spans(order, own), at_once=1 if generator is None else self._buffer))
        sizes = list(own.sizes)
        left: list[TensorTable] = []
        with ThreadPoolExecutor(1, "read-row-groups") as pool:
            ahead = pool.submit(self._read, groups[0])
            for number in range(len(groups)):
                table = concatenate([*left, ahead.result()], numbers=self._reader.layout.numbers)
                if number + 1 < len(groups):
                    ahead = pool.submit(self._read, groups[number + 1])
                ready = _fitting(sizes, len(table))
                used = sum(sizes[:ready])
                order_here = torch.arange(len(table))
                if generator is not None:
                    order_here = torch.randperm(len(table), generator=generator)
                for index in _batches(table, order_here[:used], tuple(sizes[:ready]), generator, bucketing):
                    yield table, index
                left = [table.select(order_here[used:])] if used < len(table) else []
                sizes = sizes[ready:]

    def _spans(self, order: Sequence[int], own: Share) -> Iterator[tuple[Part, int, int]]:
        """The parts that hold a range of the order, with the range of each part's rows."""
        start = 0
        for place in order:
            part, rows = self._parts[place]
            first, last = max(own.start - start, 0), min(own.stop - start, rows)
            if first < last:
                yield part, first, last
            start += rows

    def _mixed(
        self, spans: Iterator[tuple[Part, int, int]], *, at_once: int
    ) -> Iterator[list[tuple[Part, int, int]]]:
        """The parts that are read together: at most so many, and no more than fit the limit."""
        together: list[tuple[Part, int, int]] = []
        taken = 0
        for span in spans:
            size = self._reader.size(span[0])
            full = self._limit is not None and taken + size > self._limit
            if together and (full or len(together) == at_once):
                yield together
                together, taken = [], 0
            together.append(span)
            taken += size
        if together:
            yield together

    def _read(self, spans: Sequence[tuple[Part, int, int]]) -> TensorTable:
        tables = []
        for part, first, last in spans:
            table = self._reader.read(part)
            whole = first == 0 and last == len(table)
            tables.append(table if whole else table.select(torch.arange(first, last)))
        return concatenate(tables, numbers=self._reader.layout.numbers)


Rows = HeldRows | StreamedRows


def _fitting(sizes: Sequence[int], rows: int) -> int:
    """How many of the next batches some rows fill."""
    count = total = 0
    while count < len(sizes) and total + sizes[count] <= rows:
        total += sizes[count]
        count += 1
    return count


def _batches(
    table: TensorTable,
    order: Tensor,
    sizes: tuple[int, ...],
    generator: torch.Generator | None,
    bucketing: Bucketing | None,
) -> list[Tensor]:
    if bucketing is None:
        return batches_of(order, sizes)
    lengths = bucketing.lengths(table)
    return batches_of(order, sizes, lengths=lengths, window=bucketing.window, generator=generator)
