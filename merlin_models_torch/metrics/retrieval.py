"""Ranking measures of a two-tower model, among all candidates of the evaluated data."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from merlin_models_torch._counts import as_names
from merlin_models_torch.metrics.answers import COVERAGE
from merlin_models_torch.metrics.ranking import MEASURES, relevance_of
from merlin_models_torch.metrics.streaming import RankingMetrics


class RetrievalMetrics(Metric):
    """Keeps queries and candidates, and ranks at the end: how rows were batched makes no difference.

    Candidates are the distinct items of the data; ties are broken by item id. Memory grows with the data.

    Args:
        metrics: as for :class:`RankingMetrics`, and "coverage", the share of the candidates that is answered
            to at least one query.
        top_ks: as for :class:`RankingMetrics`; cut-offs beyond the number of candidates look at all of them.

    Example:
        >>> metrics = RetrievalMetrics(metrics=("recall",), top_ks=(1,))
        >>> one_hot = torch.eye(3)
        >>> metrics.update(one_hot[[0, 1, 0]], one_hot, torch.tensor([5, 6, 7]))
        >>> round(metrics.compute()["recall_at_1"].item(), 3)
        0.667
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    queries: list[Tensor]
    candidates: list[Tensor]
    ids: list[Tensor]

    def __init__(self, metrics: Sequence[str] = ("recall", "ndcg"), top_ks: Sequence[int] = (10, 20)) -> None:
        super().__init__()
        # Checks names and cut-offs; in a tuple, so that it is no part of this metric's state.
        others = [name for name in as_names("metrics", metrics) if name != COVERAGE]
        self._ranking = (RankingMetrics(others or ["recall"], top_ks),)
        self.metrics = tuple(metrics)
        for name in ("queries", "candidates", "ids"):
            self.add_state(name, [], dist_reduce_fx="cat")

    @property
    def names(self) -> list[str]:
        """What :meth:`compute` calls its results, in its order."""
        return [f"{name}_at_{cut}" for name in self.metrics for cut in self._ranking[0].top_ks]

    def update(self, queries: Tensor, candidates: Tensor, ids: Tensor) -> None:
        """Adds some rows.

        Args:
            queries: (B, D) float.
            candidates: (B, D) float, the vector of the item that each query should find.
            ids: (B,) int64, that item.
        """
        self.queries.append(queries)
        self.candidates.append(candidates)
        self.ids.append(ids)

    def compute(self) -> dict[str, Tensor]:
        """Means over all rows by name, such as "recall_at_10"."""
        from merlin_models_torch.retrieval.topk import topk_blockwise

        queries, candidates, ids = (_joined(x) for x in (self.queries, self.candidates, self.ids))
        ranking = self._ranking[0]
        items, place = torch.unique(ids, return_inverse=True)
        # The first row of each item: going backwards, the last to be written stays.
        first = torch.empty_like(items)
        first[place.flip(0)] = torch.arange(len(ids) - 1, -1, -1, device=ids.device)
        k = min(ranking.max_k, len(items))
        answers = topk_blockwise(queries, candidates[first], k=k)[1]
        answers = torch.nn.functional.pad(answers, (0, ranking.max_k - k), value=-1)
        relevance, count = relevance_of(answers, place)

        def value(name: str, cut: int) -> Tensor:
            if name == COVERAGE:
                found: Tensor = torch.unique(answers[:, :cut])
                return (found >= 0).float().sum() / len(items)
            return MEASURES[name](relevance, count, k=cut).mean()

        return {f"{name}_at_{cut}": value(name, cut) for name in self.metrics for cut in ranking.top_ks}


def _joined(parts: list[Tensor] | Tensor) -> Tensor:
    return parts if isinstance(parts, Tensor) else torch.cat(parts)
