"""Ranking metrics by Transformers4Rec's names: one value for each cut-off, the mean over all rows so far."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torchmetrics as tm
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from merlin_models_torch.metrics.ranking import map_at, mrr_at, ndcg_at, precision_at, recall_at
from merlin_models_torch.retrieval.partition import best_by_partition
from transformers4rec._legacy import elsewhere, legacy
from transformers4rec._registry import Registry

__getattr__ = elsewhere(__name__, {})
ranking_metrics_registry = Registry.class_registry("torch.ranking_metrics")


@dataclass(frozen=True)
class Ranking:
    """What metrics need to know of some rows' best items.

    Args:
        relevance: (N, K) float32, the label of each of the K best items, best first.
        total: (N,) float32, the labels of all items added up.
    """

    relevance: Tensor
    total: Tensor

    @classmethod
    def of_targets(cls, items: Tensor, targets: Tensor) -> Ranking:
        """Of the K best items (N, K) of each row and the one item (N,) that it should have been."""
        relevance = (items == targets.reshape(-1, 1)).float()
        return cls(relevance, relevance.new_ones(relevance.shape[0]))

    @classmethod
    def of_labels(cls, items: Tensor, labels: Tensor) -> Ranking:
        """Of the K best items (N, K) of each row and the labels (N, V) of all."""
        return cls(labels.gather(1, items).float(), labels.sum(1).float())

    def top(self, k: int) -> Ranking:
        """The same with the ``k`` best items only."""
        return Ranking(self.relevance[:, :k], self.total)


def best_items(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Scores (N, k) and items (N, k) of the best, in falling order.

    Args:
        scores: (N, V).
        k: how many.

    Raises:
        RuntimeError: if there are fewer items.
    """
    found = best_by_partition(scores, k) if scores.dim() == 2 and 0 < k <= scores.shape[1] else None
    if found is not None:
        return (scores.gather(1, found[1]) if scores.requires_grad else found[0]), found[1]
    try:
        best = torch.topk(scores, k)
    except RuntimeError as error:
        if k <= scores.shape[-1]:
            raise
        raise RuntimeError(
            f"the best {k} of {scores.shape[-1]} items are asked for: lower top_ks or predict_top_k"
        ) from error
    return best.values, best.indices


class RankingMetric(tm.Metric):
    """A metric of the best items at some cut-offs; subclasses define ``_metric``.

    Args:
        top_ks: the cut-offs; 2 and 5 if not given.
        labels_onehot: whether targets are ids (N,) of the items; else they are labels (N, V).
    """

    full_state_update = False

    def __init__(self, top_ks: Any = None, labels_onehot: bool = False) -> None:
        super().__init__()
        self.top_ks = top_ks or [2, 5]
        if not isinstance(self.top_ks, list | tuple):
            self.top_ks = [self.top_ks]
        self.labels_onehot = labels_onehot
        self.add_state("metric_mean", default=[], dist_reduce_fx="cat")

    @property
    def shares_ranking(self) -> bool:
        """Whether one ranking for all metrics will do: not where a subclass has its own ``_metric``."""
        return self.labels_onehot and type(self)._metric.__module__ == __name__

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Adds the rows of a batch and gives their own mean; the arguments are those of :meth:`update`.

        torchmetrics would copy what is kept of all earlier batches, each time.
        """
        kind = type(self)
        plain = kind.update is RankingMetric.update and kind.compute is RankingMetric.compute
        if not plain or self.dist_sync_on_step or self._is_synced:
            return super().forward(*args, **kwargs)  # type: ignore[no-any-return]
        self.update(*args, **kwargs)
        own = self.metric_mean[-1].mean(0)
        self._forward_cache = own.squeeze() if own.numel() == 1 else own
        return self._forward_cache

    def update(self, preds: Tensor | Ranking, target: Tensor | None, **kwargs: Any) -> None:
        """Adds the rows of a batch.

        Args:
            preds: (N, V) scores, or their ranking.
            target: (N,) ids or (N, V) labels; None with a ranking.
            **kwargs: not used.

        Raises:
            RuntimeError: if an id is no item.
            ValueError: if there are not as many ids as rows, or ``_metric`` refuses scores and labels.
        """
        if isinstance(preds, Ranking):
            values = self._at(self.top_ks, preds.top(max(self.top_ks)))
        elif self.shares_ranking:
            _, items = best_items(preds.reshape(-1, preds.shape[-1]), max(self.top_ks))
            values = self._at(self.top_ks, Ranking.of_targets(items, _ids(target, preds)))
        else:
            if self.labels_onehot:
                target = torch.nn.functional.one_hot(target.reshape(-1).long(), preds.shape[-1]).float()
            values = self._metric(
                self.top_ks, preds.reshape(-1, preds.shape[-1]), target.reshape(-1, target.shape[-1])
            )
        self.metric_mean.append(values)

    def compute(self) -> Tensor:
        """The mean over all rows since the last reset, for each cut-off."""
        return dim_zero_cat(self.metric_mean).mean(0)

    @abc.abstractmethod
    def _metric(self, ks: Any, preds: Tensor, target: Tensor) -> Tensor:
        """(N, number of cut-offs) of (N, V) scores and labels."""

    def _at(self, ks: Any, ranking: Ranking) -> Tensor:
        """(N, number of cut-offs) of a ranking of at least the largest cut-off."""
        raise NotImplementedError(f"{type(self).__name__} has to define _metric(ks, preds, target)")


class _OfBest(RankingMetric):
    """A metric that the ranking of the best items is enough for; subclasses define ``_at``."""

    def _metric(self, ks: Any, scores: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        return self._at(ks, _ranking(ks, scores, labels))


class _Discounted(_OfBest):
    """One whose ``_metric`` takes a logarithm's base."""

    def _metric(self, ks: Any, scores: Tensor, labels: Tensor, log_base: int = 2) -> Tensor:
        return self._at(ks, _ranking(ks, scores, labels))


def _ranking(ks: Any, scores: Tensor, labels: Tensor) -> Ranking:
    """The ranking of the best items by (N, V) scores, with their labels.

    Raises:
        ValueError: if they are no matrices of one size, or there is no cut-off.
    """
    if not isinstance(ks, list | tuple) or not ks:
        raise ValueError(f"ks is {ks!r}: give a list of at least one cut-off")
    if scores.dim() != 2 or scores.shape != labels.shape:
        raise ValueError(
            f"scores and labels have shapes {tuple(scores.shape)} and {tuple(labels.shape)}: both must "
            "be (rows, items); give ids with labels_onehot=True"
        )
    _, items = best_items(scores, int(max(ks)))
    return Ranking.of_labels(items, labels)


def _ids(target: Any, scores: Tensor) -> Any:
    """The targets, if each row of the scores has one and it is an item."""
    rows, items = scores.shape[:-1].numel(), scores.shape[-1]
    if target.numel() != rows:
        raise ValueError(f"there are {target.numel()} targets for {rows} rows of scores: give one for each")
    if rows and not 0 <= int(target.min()) <= int(target.max()) < items:
        raise RuntimeError(
            f"a target is {int(target.min())} or {int(target.max())}, but the items are 0 to {items - 1}: "
            "give ids of items, or labels (rows, items) with labels_onehot=False"
        )
    return target


def _each(measure: Callable[..., Tensor], ks: Any, ranking: Ranking, **more: Any) -> Tensor:
    """(N, number of cut-offs) of a measure of the core."""
    columns = [measure(ranking.relevance, ranking.total, k=int(k), **more) for k in ks]
    return torch.stack(columns, dim=1)


@ranking_metrics_registry.register_with_multiple_names("precision_at", "precision")
@legacy
class PrecisionAt(_OfBest):
    """Share of the k best items that are relevant."""

    def _at(self, ks: Any, ranking: Ranking) -> Tensor:
        return _each(precision_at, ks, ranking)


@ranking_metrics_registry.register_with_multiple_names("recall_at", "recall")
@legacy
class RecallAt(_OfBest):
    """Share of the relevant items that are among the k best; 0 where nothing is relevant."""

    def _at(self, ks: Any, ranking: Ranking) -> Tensor:
        return _each(recall_at, ks, ranking)


@ranking_metrics_registry.register_with_multiple_names("avg_precision_at", "avg_precision", "map")
@legacy
class AvgPrecisionAt(_OfBest):
    """Precision at the places of relevant items, added up, over the smaller of k and the relevant items."""

    @property
    def precision_at(self) -> Callable[..., Tensor]:
        """Precision of each row, for subclasses."""
        return PrecisionAt(self.top_ks)._metric

    def _at(self, ks: Any, ranking: Ranking) -> Tensor:
        # Labels that add up to less than one relevant item count as one.
        return _each(map_at, ks, Ranking(ranking.relevance, ranking.total.clamp(min=1)))


@ranking_metrics_registry.register_with_multiple_names("dcg_at", "dcg")
@legacy
class DCGAt(_Discounted):
    """Relevance discounted by the logarithm of the place, added up."""

    def _metric(self, ks: Any, scores: Tensor, labels: Tensor, log_base: int = 2) -> Tensor:
        return super()._metric(ks, scores, labels) * math.log2(log_base)

    def _at(self, ks: Any, ranking: Ranking) -> Tensor:
        places = torch.arange(ranking.relevance.shape[1], device=ranking.relevance.device)
        gains = (ranking.relevance / torch.log2(places + 2.0)).cumsum(1)
        return gains[:, [int(k) - 1 for k in ks]]


@ranking_metrics_registry.register_with_multiple_names("ndcg_at", "ndcg")
@legacy
class NDCGAt(_Discounted):
    """DCG over that of the same items in the best order; 0 where that is 0.

    Relevant items that are not among the best count in neither, as in 23.12.0.
    """

    @property
    def dcg_at(self) -> Callable[..., Tensor]:
        """DCG of each row, for subclasses."""
        return DCGAt(self.top_ks)._metric

    def _at(self, ks: Any, ranking: Ranking) -> Tensor:
        return _each(ndcg_at, ks, ranking, ideal=ranking.relevance.sort(dim=1, descending=True).values)


@ranking_metrics_registry.register_with_multiple_names("mrr_at", "mrr")
@legacy
class MeanReciprocalRankAt(_Discounted):
    """One over the place of the first relevant item; 0 where none is among the k best."""

    def _at(self, ks: Any, ranking: Ranking) -> Tensor:
        return _each(mrr_at, ks, ranking)
