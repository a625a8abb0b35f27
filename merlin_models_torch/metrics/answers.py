"""Ranking measures and coverage of the same answers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torchmetrics import MetricCollection

from merlin_models_torch.metrics.coverage import Coverage
from merlin_models_torch.metrics.streaming import RankingMetrics

COVERAGE = "coverage"


class AnswerMetrics(nn.Module):
    """What :class:`RankingMetrics` measures, and :class:`Coverage` at the same cut-offs.

    Args:
        metrics: names as for :class:`RankingMetrics`, and "coverage".
        top_ks: cut-offs.
        size: rows of the catalogue.
        exclude: rows that stand for no item.

    Example:
        >>> import torch
        >>> metrics = AnswerMetrics(("recall", "coverage"), (1,), size=5)
        >>> metrics.update(torch.tensor([[4], [3]]), torch.tensor([4, 4]))
        >>> {name: value.item() for name, value in metrics.compute().items()}
        {'recall_at_1': 0.5, 'coverage_at_1': 0.5}
    """

    def __init__(
        self, metrics: Sequence[str], top_ks: Sequence[int], *, size: int, exclude: tuple[int, ...] = (0,)
    ) -> None:
        super().__init__()
        others = [name for name in metrics if name != COVERAGE]
        self.ranking = RankingMetrics(others, top_ks) if others else None
        self.coverage = MetricCollection(
            {f"{COVERAGE}_at_{k}": Coverage(size, k=k, exclude=exclude) for k in top_ks}, compute_groups=False
        )

    @property
    def names(self) -> list[str]:
        """What :meth:`compute` calls its results."""
        ranking = [] if self.ranking is None else self.ranking.names
        return [*ranking, *(str(name) for name in self.coverage)]

    def update(self, answers: Tensor, targets: Tensor, *, never: Sequence[int] = ()) -> None:
        """Adds some targets; see :meth:`RankingMetrics.update` and :meth:`Coverage.update`."""
        if self.ranking is not None:
            self.ranking.update(answers, targets)
        self.coverage.update(answers, never=never)

    def reset(self) -> None:
        """Forgets everything."""
        if self.ranking is not None:
            self.ranking.reset()
        self.coverage.reset()

    def compute(self) -> dict[str, Tensor]:
        """All values by name."""
        ranking = {} if self.ranking is None else self.ranking.compute()
        return {**ranking, **self.coverage.compute()}


def answer_metrics(
    metrics: Sequence[str], top_ks: Sequence[int], *, size: int, exclude: tuple[int, ...]
) -> RankingMetrics | AnswerMetrics:
    """The metrics that these names ask for; the arguments are those of :class:`AnswerMetrics`.

    Example:
        >>> measured = answer_metrics(["recall", "coverage"], [2], size=5, exclude=(0,))
        >>> measured.update(torch.tensor([[1, 3], [3, 1]]), torch.tensor([[3], [4]]))
        >>> {name: float(value) for name, value in measured.compute().items()}
        {'recall_at_2': 0.5, 'coverage_at_2': 0.5}
    """
    if COVERAGE in metrics:
        return AnswerMetrics(metrics, top_ks, size=size, exclude=exclude)
    return RankingMetrics(metrics, top_ks)
