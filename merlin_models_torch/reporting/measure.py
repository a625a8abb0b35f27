"""What a report measures of answers that are items: of all targets, of groups, and coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from merlin_models_torch.metrics import Coverage, RankingMetrics
from merlin_models_torch.reporting.groups import (
    Group,
    GroupedMetrics,
    Popularity,
    length_group,
    length_names,
)

METRICS = ("recall", "ndcg", "mrr")


@dataclass(frozen=True)
class ItemFigures:
    """How good the answers of an output of items are.

    Args:
        count: targets.
        values: measures by names such as "recall_at_10", coverage among them.
        by_length: measures of sessions by the number of items that they show; empty without sessions.
        by_popularity: measures by how popular the target is; empty where that is not known.
        answered: (V,) int64, 1 for the items that were among the first answers to someone.
    """

    count: int
    values: dict[str, float]
    by_length: list[Group] = field(default_factory=list)
    by_popularity: list[Group] = field(default_factory=list)
    answered: Tensor | None = None


class ItemMeasure:
    """Adds up :class:`ItemFigures`, in memory that does not grow with the rows.

    Args:
        size: rows of the catalogue.
        top_ks: cut-offs.
        never: rows that stand for no item.
        popularity: of the items, if it is known.
    """

    def __init__(
        self, size: int, top_ks: Sequence[int], *, never: Sequence[int], popularity: Popularity | None
    ) -> None:
        self.top_ks = tuple(top_ks)
        self._overall = RankingMetrics(METRICS, top_ks)
        self._coverage = {k: Coverage(size, k=k, exclude=tuple(never)) for k in self.top_ks}
        self._by_length = GroupedMetrics(length_names(), METRICS, top_ks)
        self._popularity = popularity
        names = [("", "")] if popularity is None else popularity.names()
        self._by_popularity = GroupedMetrics(names, METRICS, top_ks)

    @property
    def count(self) -> int:
        """Targets so far."""
        return int(self._overall.count)

    def update(self, answers: Tensor, targets: Tensor, lengths: Tensor | None) -> None:
        """Adds some targets.

        Args:
            answers: (N, K) int64 item rows, best first, -1 where there is none; K the largest cut-off.
            targets: (N,) int64 the item that should be among them; or (N, M) several, filled up with -1.
            lengths: (N,) int64 items that each session showed.
        """
        answers, targets = answers.cpu(), targets.cpu()
        self._overall.update(answers, targets)
        for coverage in self._coverage.values():
            coverage.update(answers)
        if lengths is not None:
            self._by_length.update(answers, targets, length_group(lengths.cpu()))
        if self._popularity is not None and targets.dim() == 1:
            self._by_popularity.update(answers, targets, self._popularity.groups[targets])

    def compute(self) -> ItemFigures:
        """What all targets so far come to."""
        values = {name: float(value) for name, value in self._overall.compute().items()}
        values |= {f"coverage_at_{k}": float(c.compute()) for k, c in self._coverage.items()}
        return ItemFigures(
            self.count,
            values,
            self._by_length.compute(),
            self._by_popularity.compute() if self._popularity is not None else [],
            self._coverage[max(self.top_ks)].answered,
        )


def cut_offs(wanted: Sequence[int] | None, possible: int) -> tuple[int, ...]:
    """Numbers of answers to measure at: those wanted, or 1, 5, 10 and 20 as far as there are items.

    Raises:
        ValueError: if one that is wanted is below 1 or there are fewer items.
    """
    if wanted is None:
        return tuple(sorted({min(k, max(possible, 1)) for k in (1, 5, 10, 20)}))
    if not wanted or not all(1 <= k <= possible for k in wanted):
        raise ValueError(
            f"top_ks is {tuple(wanted)}, but there are {possible} items that can be answers: choose within "
            "them"
        )
    return tuple(sorted({*wanted}))
