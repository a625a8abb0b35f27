"""Metrics of the task that predicts items: one ranking serves all that can share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from transformers4rec._legacy import tell_once
from transformers4rec.torch.model._task import identity
from transformers4rec.torch.ranking_metric import Ranking, RankingMetric, best_items

if TYPE_CHECKING:
    from transformers4rec.torch.model._next_item import NextItemPredictionTask


def _shares(metric: Any) -> bool:
    return isinstance(metric, RankingMetric) and metric.shares_ranking


def largest_top_k(task: NextItemPredictionTask) -> int:
    """The largest cut-off of a task's metrics that share one ranking, 0 if none does."""
    return max((max(metric.top_ks) for metric in task.metrics if _shares(metric)), default=0)


def share_one_ranking(task: NextItemPredictionTask, model: Any) -> bool:
    """Whether one ranking of a model's scores serves a task's metrics: no other tasks, no overrides."""
    from transformers4rec.torch.model._model import Model
    from transformers4rec.torch.model._next_item import NextItemPredictionTask

    return (
        model.prediction_tasks == [task]
        and type(model).calculate_metrics is Model.calculate_metrics
        and type(task).calculate_metrics is NextItemPredictionTask.calculate_metrics
        and task.forward_to_prediction_fn is identity
        and largest_top_k(task) > 0
    )


def update(
    task: NextItemPredictionTask, predictions: Tensor, targets: Tensor, ranking: Ranking | None = None
) -> dict[str, Tensor]:
    """Adds a batch to a task's metrics and gives its own values, by name.

    Args:
        task: whose metrics.
        predictions: (N, V) scores.
        targets: (N,) item ids.
        ranking: of the predictions, to the largest cut-off at least; made if not given.
    """
    if ranking is None and (largest := largest_top_k(task)):
        _, items = best_items(predictions, largest)
        ranking = Ranking.of_targets(items, targets)
    return {
        task.metric_name(metric): metric(ranking, None) if _shares(metric) else metric(predictions, targets)
        for metric in task.metrics
    }


def by_cut_off(task: NextItemPredictionTask) -> dict[str, Tensor]:
    """A task's ranking metrics over all batches since the last reset, by name and cut-off."""
    ranking = [metric for metric in task.metrics if getattr(metric, "top_ks", None)]
    by_name = {task.metric_name(metric): metric for metric in ranking}
    if len(by_name) < len(ranking):
        tell_once(
            "metrics of one class",
            f"task {task.task_name!r} has two metrics of one class, of which only the last is reported, as "
            "in Transformers4Rec 23.12.0: give one metric all cut-offs, such as NDCGAt(top_ks=[5, 10])",
        )
    values = {name: torch.atleast_1d(metric.compute()) for name, metric in by_name.items()}
    return {
        f"{name}_{k}": value
        for name, metric in by_name.items()
        for k, value in zip(metric.top_ks, values[name], strict=True)
    }
