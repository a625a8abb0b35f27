"""Batches from parquet and Arrow, shuffled, cut, bucketed, and shared out to ranks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Literal

import pyarrow as pa
import torch
from torch import Tensor

from merlin_models_torch._counts import check_count
from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.data.errors import DataError
from merlin_models_torch.data.layout import Layout, plan_layout
from merlin_models_torch.data.order import Share, generator_of, share
from merlin_models_torch.data.reader import Empty, Reader
from merlin_models_torch.data.rows import Bucketing, HeldRows, Rows, StreamedRows
from merlin_models_torch.data.source import ParquetSource, open_source
from merlin_models_torch.data.table import Cut, TensorTable, concatenate
from merlin_models_torch.parquet import LIMIT
from merlin_models_torch.schema import Schema, as_schema


class ParquetLoader:
    """Batches of the rows of parquet files or of a table in memory.

    Data whose columns fit ``memory_limit`` is held as tensors and shuffled exactly. Larger files are
    streamed: their row groups come in shuffled order, and rows are mixed within ``buffer_groups`` of them.
    The order depends on ``seed`` and on the epoch, which counts up with each iteration, or is set by
    :meth:`set_epoch` (a Lightning Trainer does so). With several processes each gets its share, from any
    file: no row is lost or comes twice, and all have the same number of batches. Where a process has no row
    left for the last, it gets a ``Batch.filler``, which a :class:`Model` does not count. It works wherever
    Lightning takes a dataloader, and resumes inside an epoch.

    Integers, bool, dates and times become int64, other numbers float32. Columns that only name a row (tagged
    ID, USER_ID or SESSION_ID, but not categorical) are no features, see :meth:`keys`.

    Args:
        source: a parquet file, a folder of them, a glob, or several; an Arrow table or parquet dataset; a
            data frame.
        schema: the columns to read; ours or one of merlin-core.
        batch_size: rows of a batch, of each process.
        targets: columns that become ``Batch.targets``; those tagged TARGET and the like if None.
        shuffle: whether the order changes with the epoch.
        seed: of the order.
        max_sequence_length: sequences are cut to it: list columns tagged SEQUENCE, and those as long as the
            item ids in every row (of the first row group where streamed); all list columns if there are
            neither items nor sequences.
        keep: whether a cut sequence keeps its latest or its oldest positions.
        bucket: rows are sorted by length within so many batches, for less padding; the batches then come in
            random order if shuffled. None for no bucketing.
        drop_last: leaves out rows that do not fill a batch on every rank.
        padded: gives list columns as (B, T) matrices, filled up with 0 to the longest of the batch.
        empty: what to do about rows without items: "error", "drop" or "keep" them.
        rank: of this process; asked of torch.distributed if None, when iteration begins.
        world: number of processes, as ``rank``.
        memory_limit: bytes that data may take to be held in memory; 0 streams any file. Streamed row groups
            that are mixed keep to it too, unless it is 0: fewer are mixed where they are large. What is read
            at once may take more, except where it is unpacked from next to nothing (a thousandth of it) and
            takes over 4 GiB: such a file is refused, unless a larger ``memory_limit`` is given.
        buffer_groups: row groups that are mixed when streaming, at most.

    Raises:
        DataError: if files, columns or values do not fit the schema; before the first batch for data in
            memory and for what parquet statistics tell, else when the row group is read.
        ValueError: if an argument is out of its range.
        TypeError: if one that counts something is no whole number.

    Example:
        >>> from merlin_models_torch.schema import ColumnSchema, Schema, Tags
        >>> table = pa.table({"item_id": [[3, 4, 5], [2, 3]]})
        >>> schema = Schema([ColumnSchema("item_id", tags=[Tags.ITEM_ID, Tags.SEQUENCE], is_list=True)])
        >>> next(iter(ParquetLoader(table, schema, batch_size=2))).padded("item_id")
        tensor([[3, 4, 5],
                [2, 3, 0]])
    """

    def __init__(
        self,
        source: Any,
        schema: Schema | Any,
        *,
        batch_size: int,
        targets: Iterable[str] | None = None,
        shuffle: bool = False,
        seed: int = 0,
        max_sequence_length: int | None = None,
        keep: Literal["latest", "oldest"] = "latest",
        bucket: int | None = None,
        drop_last: bool = False,
        padded: bool = False,
        empty: Empty = "error",
        rank: int | None = None,
        world: int | None = None,
        memory_limit: int = 4 * 2**30,
        buffer_groups: int = 8,
    ) -> None:
        _at_least_one(
            batch_size=batch_size,
            max_sequence_length=max_sequence_length,
            bucket=bucket,
            buffer_groups=buffer_groups,
            world=world,
        )
        _one_of("keep", keep, ("latest", "oldest"))
        _one_of("empty", empty, ("error", "drop", "keep"))
        if seed < 0:
            raise ValueError(f"seed is {seed}, expected 0 or more")
        if (rank is None) != (world is None) or (rank is not None and not 0 <= rank < (world or 0)):
            raise ValueError(
                f"rank is {rank} and world {world}: give both, rank from 0 and below world, or neither"
            )
        self._targets = targets if targets is None or isinstance(targets, str) else list(targets)
        self.schema = as_schema(schema)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.padded = padded
        self.rank = rank
        self.world = world
        self.source = open_source(source, limit=max(memory_limit, LIMIT))
        self._layout = plan_layout(self.source, self.schema, self._targets)
        self._reader = Reader(self.source, self._layout, empty)
        self._rows = self._open_rows(memory_limit, buffer_groups)
        if not len(self._rows):
            raise DataError("every row is empty, so none is left: give data with items")
        self._cut = Cut(_cut_columns(self._rows.sample, self._layout), max_sequence_length, keep)
        self._bucketing = None if bucket is None else Bucketing(self._bucket_column(), bucket, self._cut)
        self._epoch = 0
        self._done = 0
        self._resume: tuple[int, int] | None = None
        if drop_last and not len(self):
            raise ValueError(
                f"drop_last leaves no batch: {self.num_rows} rows do not fill batch_size {batch_size} "
                "on every rank"
            )

    @property
    def batch_sampler(self) -> None:
        """None: what Lightning asks for when it looks whether evaluation data is shuffled."""
        return

    @property
    def sampler(self) -> ParquetLoader:
        """The loader itself: a Lightning Trainer looks here for ``set_epoch``."""
        return self

    @property
    def in_memory(self) -> bool:
        """Whether the data is held in memory, rather than streamed."""
        return isinstance(self._rows, HeldRows)

    @property
    def num_rows(self) -> int:
        """Rows of an epoch, of all ranks together."""
        return len(self._rows)

    def set_epoch(self, epoch: int) -> None:
        """Sets the number of the next epoch, which the order depends on."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Batches of an epoch on this rank; equal on all of them."""
        return self._share().steps

    def __iter__(self) -> Iterator[Batch]:
        # The body of a generator begins with the first batch, after a Trainer has called set_epoch.
        epoch, skipped = self._epoch, 0
        if self._resume is not None and self._resume[0] == epoch:
            skipped = self._resume[1]
        self._resume = None
        self._epoch, self._done = epoch + 1, skipped
        generator = generator_of(self.seed, epoch) if self.shuffle else None
        own = self._share()
        picks = self._rows.picks(own, generator, self._bucketing)
        for table, index in islice(picks, skipped, None):
            self._done += 1
            yield self._batch(table, index)
        for _ in range(own.steps - self._done):
            self._done += 1
            first = self._batch(self._rows.sample, torch.tensor([0]))
            yield replace(first, rows=torch.tensor([-1]), filler=True)

    def state_dict(self) -> dict[str, int]:
        """Where this loader is; Lightning keeps it in checkpoints, and resumes inside an epoch."""
        if self._done and self._done < len(self):
            return {"epoch": self._epoch - 1, "batches": self._done}
        return {"epoch": self._epoch, "batches": 0}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """The next iteration goes on after the batches that had been given when the state was taken."""
        self._epoch = state["epoch"]
        self._resume = (state["epoch"], state["batches"])

    def keys(self, rows: Tensor | None = None, names: Sequence[str] | None = None) -> pa.Table:
        """What names some rows: the user or session ids of the source, in their original form.

        Args:
            rows: (B,) int64 as in ``Batch.rows``; all rows of the source if None.
            names: any columns of the source; those that only name a row if None.

        Returns:
            These columns, or a column ``row`` of row numbers if there are none.

        Raises:
            DataError: if the source has no such column.
        """
        names = self._layout.keys if names is None else tuple(names)
        if not names:
            every = torch.arange(self.source.num_rows) if rows is None else rows.cpu()
            return pa.table({"row": pa.array(every.numpy())})
        source = self.source.as_is
        for file, schema in source.schemas():
            for name in names:
                if name not in schema.names:
                    raise DataError(f"key column {name!r} is not in {file}, which has {schema.names}")
        table = pa.concat_tables([source.read(part, names) for part in source.parts])
        return table if rows is None else table.take(pa.array(rows.cpu().numpy()))

    def over(self, source: Any, *, rank: int = 0, world: int = 1) -> ParquetLoader:
        """A loader that reads another source as this one does, but in its order and streamed.

        Args:
            source: as for the constructor.
            rank: which of ``world`` shares it reads.
            world: see there.
        """
        return ParquetLoader(
            self.source.alike(source),
            self.schema,
            batch_size=self.batch_size,
            targets=self._targets,
            max_sequence_length=self._cut.length,
            keep=self._cut.keep,
            padded=self.padded,
            empty=self._reader.empty,
            rank=rank,
            world=world,
            memory_limit=0,
        )

    def _open_rows(self, memory_limit: int, buffer_groups: int) -> Rows:
        source, reader = self.source, self._reader
        if isinstance(source, ParquetSource) and source.size(self._layout.names) > memory_limit:
            reader.check_bounds(source.groups)
            limit = memory_limit or None
            return StreamedRows(reader, source.groups, buffer=buffer_groups, limit=limit)
        tables = [reader.read(part) for part in source.parts]
        return HeldRows(concatenate(tables, numbers=self._layout.numbers))

    def _bucket_column(self) -> str:
        lists = [column.name for column in self._layout.columns if column.kind == "list"]
        if not lists:
            raise ValueError("bucket sorts rows by length, but no column is a list: leave it out")
        return self._layout.item or lists[0]

    def _share(self) -> Share:
        rank, world = self.rank, self.world
        if rank is None or world is None:
            rank, world = _process()
        return share(self.num_rows, self.batch_size, rank=rank, world=world, drop_last=self.drop_last)

    def _batch(self, table: TensorTable, index: Tensor) -> Batch:
        columns = {
            name: _model_dtype(column)
            for name, column in table.take(index, cut=self._cut, padded=self.padded).items()
        }
        targets = {name: columns.pop(name) for name in list(columns) if name in self._layout.targets}
        return Batch(columns, targets, rows=table.rows[index])


def _cut_columns(table: TensorTable, layout: Layout) -> frozenset[str]:
    """The list columns that a maximal length cuts."""
    lists = {name: column for name, column in table.columns.items() if isinstance(column, Ragged)}
    if layout.item is None:
        return frozenset(lists)
    offsets = lists[layout.item].offsets
    return layout.sequences | {name for name, column in lists.items() if column.offsets is offsets}


def _model_dtype(column: Column) -> Column:
    if isinstance(column, Ragged):
        return Ragged(_as_model_dtype(column.values), column.offsets)
    return _as_model_dtype(column)


def _as_model_dtype(values: Tensor) -> Tensor:
    return values.to(torch.float32 if values.is_floating_point() else torch.int64)


def _process() -> tuple[int, int]:
    """Rank and number of processes."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _at_least_one(**arguments: int | None) -> None:
    for name, value in arguments.items():
        if value is None:
            continue
        check_count(name, value)
        if value < 1:
            raise ValueError(f"{name} is {value}, expected at least 1")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of {list(choices)}")
