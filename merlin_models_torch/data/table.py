"""Rows held as tensors, and batches of them by one gather."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from merlin_models_torch.batch import Column, Ragged
from merlin_models_torch.data.errors import DataError


@dataclass(frozen=True)
class Cut:
    """How the lists of a row become shorter.

    Args:
        columns: the list columns that are cut.
        length: positions kept at most; all if None.
        keep: which end of a list is kept.
    """

    columns: frozenset[str] = frozenset()
    length: int | None = None
    keep: Literal["latest", "oldest"] = "latest"


@dataclass(frozen=True)
class TensorTable:
    """Columns of many rows as tensors. List columns of equal lengths share one ``offsets`` tensor.

    Args:
        columns: (N,) or (N, D) tensors and ragged columns of N rows.
        rows: (N,) int64 number of each row in its source.
    """

    columns: Mapping[str, Column]
    rows: Tensor

    def __len__(self) -> int:
        return self.rows.shape[0]

    def take(self, index: Tensor, *, cut: Cut | None = None, padded: bool = False) -> dict[str, Column]:
        """Some rows, in this order, by one gather a column.

        Args:
            index: (B,) int64 places of the rows in this table.
            cut: which lists become shorter, and how.
            padded: lists as (B, T) tensors, filled up with 0 to the longest of these rows.

        Returns:
            Columns of B rows. Those with shared offsets share them again.
        """
        cut = cut or Cut()
        picks: dict[tuple[int, bool], tuple[Tensor, Tensor]] = {}
        taken: dict[str, Column] = {}
        for name, column in self.columns.items():
            if isinstance(column, Tensor):
                taken[name] = column.index_select(0, index)
                continue
            shorten = cut.length is not None and name in cut.columns
            key = (id(column.offsets), shorten)
            if key not in picks:
                starts, lengths = _spans(column.offsets, index, cut if shorten else Cut())
                picks[key] = _matrix(starts, lengths) if padded else _places(starts, lengths)
            places, extra = picks[key]
            values = column.values.index_select(0, places.view(-1))
            if padded:
                values = values.view(*places.shape, *column.values.shape[1:])
                outside = extra.view(*extra.shape, *(1,) * (values.dim() - 2))
                taken[name] = values.masked_fill_(outside, 0)
            else:
                taken[name] = Ragged(values, extra)
        return taken

    def select(self, index: Tensor) -> TensorTable:
        """Some rows as a table of their own."""
        return TensorTable(share_offsets(self.take(index)), self.rows[index])


def _spans(offsets: Tensor, index: Tensor, cut: Cut) -> tuple[Tensor, Tensor]:
    """(B,) start and (B,) length of what is kept of each row's list."""
    starts = offsets.index_select(0, index)
    ends = offsets.index_select(0, index + 1)
    lengths = ends - starts
    if cut.length is not None:
        lengths = lengths.clamp_(max=cut.length)
        if cut.keep == "latest":
            starts = ends - lengths
    return starts, lengths


def _places(starts: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """(L,) places of the values, and the (B + 1,) offsets they get."""
    offsets = torch.zeros(len(lengths) + 1, dtype=torch.int64)
    torch.cumsum(lengths, 0, out=offsets[1:])
    total = int(offsets[-1])
    places = torch.repeat_interleave(starts - offsets[:-1], lengths, output_size=total)
    return places.add_(torch.arange(total)), offsets


def _matrix(starts: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T) places of the values, and the (B, T) bool matrix of those after the end of a row."""
    steps = torch.arange(int(lengths.max()) if len(lengths) else 0)
    outside = steps >= lengths[:, None]
    return (starts[:, None] + steps).masked_fill_(outside, 0), outside


def share_offsets(columns: Mapping[str, Column]) -> dict[str, Column]:
    """The same columns; ragged ones of equal lengths share their ``offsets``, so that one gather serves."""
    seen: list[Tensor] = []
    shared: dict[str, Column] = {}
    for name, column in columns.items():
        if isinstance(column, Ragged):
            same = next((o for o in seen if o is column.offsets or torch.equal(o, column.offsets)), None)
            if same is None:
                seen.append(column.offsets)
            else:
                column = Ragged(column.values, same)
        shared[name] = column
    return shared


def concatenate(tables: Sequence[TensorTable], *, numbers: Collection[str] = ()) -> TensorTable:
    """The rows of several tables of the same columns, one table after the other.

    Args:
        tables: at least one.
        numbers: columns whose inner lists are numbers, filled up with nan.

    Raises:
        DataError: if a column has vectors of several widths.
    """
    if len(tables) == 1:
        return tables[0]
    columns: dict[str, Column] = {}
    for name in tables[0].columns:
        parts = [table.columns[name] for table in tables]
        tensors = [part for part in parts if isinstance(part, Tensor)]
        ragged = [part for part in parts if isinstance(part, Ragged)]
        if not ragged:
            columns[name] = _joined(tensors, name, filler=None)
            continue
        lengths = torch.cat([part.lengths for part in ragged])
        offsets = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
        values = [part.values for part in ragged]
        filler = math.nan if name in numbers else None if any(map(torch.is_floating_point, values)) else 0
        columns[name] = Ragged(_joined(values, name, filler=filler), offsets)
    return TensorTable(share_offsets(columns), torch.cat([table.rows for table in tables]))


def _joined(parts: Sequence[Tensor], name: str, *, filler: float | None) -> Tensor:
    """All parts in one, the narrower ones filled up; without a filler all have one width."""
    # What has no rows does not say how wide they would be.
    parts = [part for part in parts if len(part)] or parts[:1]
    widths = {part.shape[1] for part in parts if part.dim() == 2}
    if len(widths) > 1:
        low, high = min(widths), max(widths)
        if filler is None:
            raise DataError(f"column {name!r} has vectors of {low} and of {high} values: give all one width")
        parts = [torch.nn.functional.pad(part, (0, high - part.shape[1]), value=filler) for part in parts]
    return torch.cat(list(parts))
