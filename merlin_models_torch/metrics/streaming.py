"""Ranking measures averaged over all targets of a data set, on any number of devices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from merlin_models_torch._counts import as_cut_offs, as_names
from merlin_models_torch.metrics.ranking import MEASURES, relevance_of


class RankingMetrics(Metric):
    """Several ranking measures at several cut-offs, from one top-k.

    Keeps a sum for each measure and the number of targets, so that the result is the mean over targets
    whatever the size of the batches, also when they are spread unevenly over processes.

    Args:
        metrics: names among "hit_rate", "map", "mrr", "ndcg", "precision", "recall".
        top_ks: cut-offs, each at least 1.

    Raises:
        ValueError: if a name is not known, or a cut-off below 1.
        TypeError: for one name or number instead of several, or a cut-off that is no whole number.

    Example:
        >>> metrics = RankingMetrics(metrics=("recall", "mrr"), top_ks=(1, 2))
        >>> metrics.update(torch.tensor([[4, 7], [5, 6]]), torch.tensor([7, 5]))
        >>> {name: value.item() for name, value in metrics.compute().items()}
        {'recall_at_1': 0.5, 'recall_at_2': 1.0, 'mrr_at_1': 0.5, 'mrr_at_2': 0.75}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    total: Tensor
    count: Tensor

    def __init__(self, metrics: Sequence[str] = ("recall", "ndcg"), top_ks: Sequence[int] = (10, 20)) -> None:
        super().__init__()
        names, cut_offs = as_names("metrics", metrics), as_cut_offs("top_ks", top_ks)
        unknown = [name for name in names if name not in MEASURES]
        if unknown:
            known = ", ".join(sorted(MEASURES))
            raise ValueError(
                f"metric {unknown[0]!r} is not known: choose from {known} (and coverage, in an output)"
            )
        if not names:
            raise ValueError(f"metrics is empty, expected names of {', '.join(sorted(MEASURES))}")
        self.metrics, self.top_ks = names, cut_offs
        self.add_state("total", torch.zeros(len(self.metrics), len(self.top_ks)), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    @property
    def max_k(self) -> int:
        """Answers that :meth:`update` needs for each target."""
        return max(self.top_ks)

    @property
    def names(self) -> list[str]:
        """What :meth:`compute` calls its results, in its order."""
        return [f"{name}_at_{k}" for name in self.metrics for k in self.top_ks]

    def update(self, answers: Tensor, targets: Tensor) -> None:
        """Adds some targets.

        Args:
            answers: (N, K) int64 item ids, best first, K at least ``max_k``.
            targets: (N,) int64 the item that should be among them; or (N, M) several, filled up with -1.

        Raises:
            ValueError: if there are fewer than ``max_k`` answers or the shapes do not fit.
        """
        self.update_relevance(*relevance_of(answers, targets))

    def update_relevance(self, relevance: Tensor, n_relevant: Tensor) -> None:
        """Adds some targets whose answers have been judged.

        Args:
            relevance: (N, K) bool or float, best answer first, K at least ``max_k``.
            n_relevant: (N,) relevant items of each query.

        Raises:
            ValueError: if there are fewer than ``max_k`` answers.
        """
        if relevance.shape[-1] < self.max_k:
            raise ValueError(
                f"metrics at {self.max_k} need {self.max_k} answers for each target, "
                f"got {relevance.shape[-1]}: "
                "ask for more answers, or lower top_ks (never above the size of the catalogue)"
            )
        rows = [
            torch.stack([MEASURES[name](relevance, n_relevant, k=k).sum() for k in self.top_ks])
            for name in self.metrics
        ]
        self.total += torch.stack(rows)
        self.count += relevance.shape[0]

    def compute(self) -> dict[str, Tensor]:
        """Means over all targets so far by name, such as "recall_at_10"; nan before the first target."""
        means = (self.total / self.count).flatten()
        return dict(zip(self.names, means.unbind(), strict=True))
