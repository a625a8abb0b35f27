"""Ranking measures of groups of targets: by what the session showed, by how popular the target is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from merlin_models_torch.data.coding import check_codes
from merlin_models_torch.data.source import open_source
from merlin_models_torch.metrics import RankingMetrics
from merlin_models_torch.schema.facts import is_list

# The largest length of each group but the last.
_LENGTHS = (0, 1, 2, 5, 10, 20, 50, 100)
FIFTHS = 5


@dataclass(frozen=True)
class Group:
    """Measures of some targets.

    Args:
        name: short, for a chart.
        told: what they have in common.
        count: of targets.
        values: measures by names such as "ndcg_at_10".
    """

    name: str
    told: str
    count: int
    values: dict[str, float]


class GroupedMetrics:
    """:class:`RankingMetrics` of each group: every target counts in just one.

    Args:
        names: short name and meaning of each group.
        metrics: as for :class:`RankingMetrics`.
        top_ks: likewise.
    """

    def __init__(
        self, names: Sequence[tuple[str, str]], metrics: Sequence[str], top_ks: Sequence[int]
    ) -> None:
        self.names = tuple(names)
        self._metrics = [RankingMetrics(metrics, top_ks) for _ in names]

    def update(self, answers: Tensor, targets: Tensor, groups: Tensor) -> None:
        """Adds some targets.

        Args:
            answers: (N, K) int64 item rows, best first.
            targets: (N,) int64 the item that should be among them, or (N, M) filled up with -1.
            groups: (N,) int64 number of the group of each.
        """
        for group in torch.unique(groups).tolist():
            chosen = groups == group
            self._metrics[group].update(answers[chosen], targets[chosen])

    def compute(self) -> list[Group]:
        """The groups that have targets, in order."""
        found = []
        for (name, told), metrics in zip(self.names, self._metrics, strict=True):
            count = int(metrics.count)
            if count:
                values = {key: float(value) for key, value in metrics.compute().items()}
                found.append(Group(name, told, count, values))
        return found


def length_names() -> list[tuple[str, str]]:
    """Short name and meaning of each group of :func:`length_group`."""
    names = [f"{low + 1}–{high}" if high > low + 1 else str(high) for low, high in _pairs()]
    names = ["0", *names, f"{_LENGTHS[-1] + 1}+"]
    return [(name, f"{name} item" if name == "1" else f"{name} items") for name in names]


def length_group(lengths: Tensor) -> Tensor:
    """(N,) int64 group of sessions that show (N,) so many items."""
    return torch.bucketize(lengths, torch.tensor(_LENGTHS, device=lengths.device))


def _pairs() -> list[tuple[int, int]]:
    return list(pairwise(_LENGTHS))


@dataclass(frozen=True)
class Popularity:
    """How often each item was met, and the fifths of these events.

    Args:
        counts: (V,) int64 events of each item row.
        groups: (V,) int64 of each: 0 for the most popular items, that have a fifth of all events, to 4; 5 for
            those that were never met.
        told: where the events are from.
    """

    counts: Tensor
    groups: Tensor
    told: str

    @classmethod
    def of(cls, data: Any, item_id: str, size: int, *, told: str, never: Sequence[int] = (0,)) -> Popularity:
        """Counts the items of a table, part by part.

        Args:
            data: parquet path, table or frame.
            item_id: its column of item rows, one a row or lists of them.
            size: rows of the catalogue.
            told: where the events are from.
            never: rows that stand for no item.

        Raises:
            ValueError: if there is no such column, or it holds other rows.
        """
        import pyarrow.compute as pc

        source = open_source(data)
        counts = np.zeros(size, np.int64)
        for part in getattr(source, "groups", source.parts):
            names = next(iter(source.schemas()))[1].names
            if item_id not in names:
                raise ValueError(
                    f"the popularity of items is counted in column {item_id!r}, and the data has {names}: "
                    "name the column so, or pass data that has it"
                )
            column = source.read(part, [item_id])[item_id]
            check_codes(column, where=f"column {item_id!r} of {part.name}")
            rows = pc.list_flatten(column) if is_list(column.type) else column
            codes = np.asarray(rows.drop_null()).astype(np.int64)
            if len(codes) and not 0 <= codes.min() <= codes.max() < size:
                wrong = codes[(codes < 0) | (codes >= size)][0]
                raise ValueError(
                    f"column {item_id!r} of {part.name} has item {wrong}, but the catalogue has rows 0 to "
                    f"{size - 1}: give items as the model was trained on"
                )
            counts += np.bincount(codes, minlength=size)
        counts[[row for row in never if row < size]] = 0
        return cls.of_counts(torch.from_numpy(counts), told=told)

    @classmethod
    def of_counts(cls, counts: Tensor, *, told: str = "") -> Popularity:
        """The fifths of (V,) int64 events of each item."""
        order = counts.argsort(descending=True, stable=True)
        before = counts[order].cumsum(0) - counts[order]
        total = max(int(counts.sum()), 1)
        groups = torch.full_like(counts, FIFTHS)
        groups[order] = (before * FIFTHS // total).clamp(max=FIFTHS - 1)
        groups[counts == 0] = FIFTHS
        return cls(counts, groups, told)

    def names(self) -> list[tuple[str, str]]:
        """Short name and meaning of each group."""
        sizes = torch.bincount(self.groups, minlength=FIFTHS + 1).tolist()
        rank = ("the most popular", "second", "third", "fourth", "the least popular")
        told = [f"{n + 1}, {rank[n]}: {sizes[n]:,} item{'s' * (sizes[n] != 1)}" for n in range(FIFTHS)]
        return [*((str(n + 1), told[n]) for n in range(FIFTHS)), ("none", "items without an event")]
