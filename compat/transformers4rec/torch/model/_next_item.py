"""The task that predicts items."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from math import sqrt
from typing import Any

import torch
import torchmetrics as tm
from merlin_migrate.warnings import unsupported
from torch import Tensor

from merlin_models_torch.outputs.losses import softmax_cross_entropy
from transformers4rec._legacy import legacy, tell_once
from transformers4rec.torch._outputs import Deferred, Outputs
from transformers4rec.torch.block.base import Block, BuildableBlock
from transformers4rec.torch.block.mlp import MLPBlock
from transformers4rec.torch.masking import MaskedLanguageModeling
from transformers4rec.torch.model._model import Model
from transformers4rec.torch.model._task import PredictionTask, identity
from transformers4rec.torch.ranking_metric import (
    AvgPrecisionAt,
    NDCGAt,
    Ranking,
    RankingMetric,
    RecallAt,
    best_items,
)

LOG = logging.getLogger("transformers4rec")


class _NextItemPredictionTask(torch.nn.Module):
    """Scores of all items, from the item table or a matrix of its own.

    Args:
        input_size: size of the input.
        target_dim: number of items.
        weight_tying: whether the item table is the matrix.
        item_embedding_table: the item table.
        softmax_temperature: divides the scores; 0 for none.
    """

    def __init__(
        self,
        input_size: Any,
        target_dim: int,
        weight_tying: bool = False,
        item_embedding_table: torch.nn.Module | None = None,
        softmax_temperature: float = 0,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.target_dim = target_dim
        self.weight_tying = weight_tying
        self.item_embedding_table = item_embedding_table
        self.softmax_temperature = softmax_temperature
        if not weight_tying:
            self.output_layer = torch.nn.Parameter(torch.empty(target_dim, input_size[-1]))
            torch.nn.init.kaiming_uniform_(self.output_layer, a=sqrt(5))

    @property
    def weight(self) -> Tensor:
        """(V, D), one row per item."""
        return self.item_embedding_table.weight if self.weight_tying else self.output_layer

    def forward(
        self, inputs: Tensor, targets: Tensor | None = None, training: bool = False, testing: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """(N, V) scores of (N, D) inputs, and the targets as they are."""
        scores = inputs @ self.weight.t()
        if self.softmax_temperature and self.softmax_temperature != 1:
            scores = scores / self.softmax_temperature
        return scores, targets

    def _get_name(self) -> str:
        return "NextItemPredictionTask"


class NextItemPredictionPrepareBlock(BuildableBlock):
    """Makes the scores of all items.

    Args:
        target_dim: number of items.
        weight_tying: whether the item table is the matrix.
        item_embedding_table: the item table.
        softmax_temperature: divides the scores; 0 for none.
        sampled_softmax: not offered.
        max_n_samples: of the sampled softmax.
        min_id: of the sampled softmax.
    """

    def __init__(
        self,
        target_dim: int,
        weight_tying: bool = False,
        item_embedding_table: torch.nn.Module | None = None,
        softmax_temperature: float = 0,
        sampled_softmax: bool | None = False,
        max_n_samples: int | None = 100,
        min_id: int | None = 0,
    ) -> None:
        if sampled_softmax:
            raise unsupported("transformers4rec.torch.model.prediction_task.LogUniformSampler")
        self.target_dim = target_dim
        self.weight_tying = weight_tying
        self.item_embedding_table = item_embedding_table
        self.softmax_temperature = softmax_temperature

    def build(self, input_size: Any) -> Block:
        """The block for inputs of this size."""
        scores = _NextItemPredictionTask(
            input_size,
            self.target_dim,
            self.weight_tying,
            self.item_embedding_table,
            self.softmax_temperature,
        )
        return Block(scores, [-1, self.target_dim])


@legacy(home="transformers4rec.torch.model.prediction_task")
class NextItemPredictionTask(PredictionTask):
    """Predicts items: those that the masking hides in training and evaluation, the next one at inference.

    Args:
        loss: of scores and item ids.
        metrics: ranking metrics; NDCG, average precision and recall at 10 and 20 if not given.
        task_block: before the predictions.
        task_name: by which results are found.
        weight_tying: whether the item embedding table scores the items too.
        softmax_temperature: divides the scores.
        padding_idx: id of padding.
        target_dim: number of items; that of the item embedding table if not given.
        sampled_softmax: not offered.
        max_n_samples: of the sampled softmax.
    """

    DEFAULT_METRICS = (
        NDCGAt(top_ks=[10, 20], labels_onehot=True),
        AvgPrecisionAt(top_ks=[10, 20], labels_onehot=True),
        RecallAt(top_ks=[10, 20], labels_onehot=True),
    )
    DEFAULT_LOSS = torch.nn.CrossEntropyLoss()

    def __init__(
        self,
        loss: torch.nn.Module = DEFAULT_LOSS,
        metrics: Iterable[tm.Metric] = DEFAULT_METRICS,
        task_block: Any = None,
        task_name: str = "next-item",
        weight_tying: bool = False,
        softmax_temperature: float = 1,
        padding_idx: int = 0,
        target_dim: int | None = None,
        sampled_softmax: bool | None = False,
        max_n_samples: int | None = 100,
    ) -> None:
        super().__init__(loss=loss, metrics=metrics, task_block=task_block, task_name=task_name)
        self.softmax_temperature = softmax_temperature
        self.weight_tying = weight_tying
        self.padding_idx = padding_idx
        self.target_dim = target_dim
        self.sampled_softmax = sampled_softmax
        self.max_n_samples = max_n_samples
        self.item_embedding_table = None
        self.masking = None

    def build(
        self,
        body: Any,
        input_size: Any,
        device: Any = None,
        inputs: Any = None,
        task_block: Any = None,
        pre: Any = None,
    ) -> None:
        """Finds item table and masking in the inputs and makes the blocks; a head calls it.

        Args:
            body: the body.
            input_size: size of its output.
            device: where to put the task.
            inputs: the input block; the body's own if not given.
            task_block: takes the place of the task's own.
            pre: not used.

        Raises:
            ValueError: if the body gives no sequence, or the inputs have no item column or no masking.
        """
        if isinstance(input_size, dict) or len(input_size) != 3:
            raise ValueError(
                f"NextItemPredictionTask needs a body of rows, positions and width, found {input_size}: "
                "check that the columns are lists and that the input block has an aggregation"
            )
        inputs = inputs or body.inputs
        if not getattr(inputs, "item_id", None):
            raise ValueError(
                "NextItemPredictionTask needs an input block with an item column: tag it ITEM_ID and "
                "CATEGORICAL in the schema"
            )
        if not inputs.masking:
            raise ValueError(
                "NextItemPredictionTask needs an input block with a masking: give "
                "TabularSequenceFeatures.from_schema the argument masking"
            )
        self.embeddings = inputs.categorical_module
        table = self.embeddings.item_embedding_table
        self.target_dim = self.target_dim or table.num_embeddings
        if self.weight_tying:
            self.item_embedding_table = table
            width = table.weight.shape[1]
            if input_size[-1] != width and not task_block:
                LOG.warning(
                    "The body has width %s and the item embeddings, which weight tying uses, %s: a linear "
                    "layer is added between them",
                    input_size[-1],
                    width,
                )
                task_block = MLPBlock([width], activation=None)
        self.masking = inputs.masking
        self.padding_idx = self.masking.padding_idx
        pre = NextItemPredictionPrepareBlock(
            target_dim=self.target_dim,
            weight_tying=self.weight_tying,
            item_embedding_table=self.item_embedding_table,
            softmax_temperature=self.softmax_temperature,
            sampled_softmax=self.sampled_softmax,
            max_n_samples=self.max_n_samples,
            min_id=self.padding_idx + 1,
        )
        super().build(body, input_size, device=device, inputs=inputs, task_block=task_block, pre=pre)

    def forward(
        self,
        inputs: Any,
        targets: Any = None,
        training: bool = False,
        testing: bool = False,
        top_k: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Scores of the items, in training and evaluation with loss and labels.

        Args:
            inputs: (B, T, D).
            targets: not used, the masking has them.
            training: whether this is training.
            testing: whether it is evaluation; neither means inference.
            top_k: how many items to answer at inference; all scores if None.
            **kwargs: not used.

        Returns:
            "loss", "labels" (N,) and "predictions" (N, V); at inference scores (B, V), or scores and items
            (B, top_k).
        """
        x = (inputs[0] if isinstance(inputs, tuple | list) else inputs).float()
        if self.task_block:
            x = self.task_block(x)
        if training or testing:
            labels = self.masking.masked_targets
            targeted = labels != self.padding_idx
            return self._with_loss(x[targeted], labels[targeted].long(), training, testing)
        scores, _ = self.pre(x[self._last(x)])
        return scores if top_k is None else best_items(scores, top_k)

    def _with_loss(self, x: Tensor, labels: Tensor, training: bool, testing: bool) -> dict[str, Any]:
        """Loss, labels (N,) and scores of (N, D) targeted positions."""

        def scores() -> Tensor:
            return self.pre(x, targets=labels, training=training, testing=testing)[0]

        if not len(labels):
            tell_once(
                "no targets",
                "a batch has no item to predict, so its loss is nan, as in Transformers4Rec 23.12.0: leave "
                "out sessions of one item",
            )
        elif training and not testing and self._loss_needs_no_scores():
            loss = softmax_cross_entropy(
                x,
                self.pre.module.weight,
                labels,
                temperature=self.softmax_temperature or 1,
                label_smoothing=self.loss.label_smoothing,
            )
            return Outputs(loss=loss, labels=labels, predictions=Deferred(scores))
        made = scores()
        return {"loss": self.loss(made, labels), "labels": labels, "predictions": made}

    def _loss_needs_no_scores(self) -> bool:
        """Whether the core's cross entropy is the loss of just these scores."""
        loss, module = self.loss, getattr(self.pre, "module", None)
        return (
            type(loss) is torch.nn.CrossEntropyLoss
            and loss.weight is None
            and loss.reduction == "mean"
            and loss.ignore_index < 0
            and type(module) is _NextItemPredictionTask
        )

    def _last(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Row and position that answer what comes next."""
        items = self.embeddings.item_seq
        last = (items != self.padding_idx).sum(dim=1)
        if not isinstance(self.masking, MaskedLanguageModeling):
            last = last - 1
        return torch.arange(len(items), device=x.device), last

    def remove_pad_3d(self, inp_tensor: Tensor, non_pad_mask: Tensor) -> Tensor:
        """(N, D), the vectors of (B, T, D) where the flat mask (B * T,) is set."""
        return inp_tensor.flatten(end_dim=1)[non_pad_mask]

    @property
    def largest_top_k(self) -> int:
        """The largest cut-off of metrics that share one ranking, 0 if none does."""
        return max((max(metric.top_ks) for metric in self.metrics if _shares(metric)), default=0)

    def shares_one_ranking(self, model: Any) -> bool:
        """Whether one ranking of a model's scores serves the metrics: no other tasks, no overrides."""
        return (
            model.prediction_tasks == [self]
            and type(model).calculate_metrics is Model.calculate_metrics
            and type(self).calculate_metrics is NextItemPredictionTask.calculate_metrics
            and self.forward_to_prediction_fn is identity
            and self.largest_top_k > 0
        )

    def calculate_metrics(
        self, predictions: Tensor, targets: Any, ranking: Ranking | None = None
    ) -> dict[str, Tensor]:
        """Adds a batch to the metrics and gives its own values, by name.

        Args:
            predictions: (N, V) scores.
            targets: (N,) item ids, or these by column.
            ranking: of the predictions, where the caller has it.
        """
        if isinstance(targets, dict) and self.target_name:
            targets = targets[self.target_name]
        predictions = self.forward_to_prediction_fn(predictions)
        if ranking is None and self.largest_top_k:
            _, items = best_items(predictions, self.largest_top_k)
            ranking = Ranking.of_targets(items, targets)
        return {
            self.metric_name(metric): metric(ranking) if _shares(metric) else metric(predictions, targets)
            for metric in self.metrics
        }

    def compute_metrics(self, **kwargs: Any) -> dict[str, Tensor]:
        """The ranking metrics over all batches since the last reset, by name and cut-off."""
        results = {}
        for metric in self.metrics:
            if not getattr(metric, "top_ks", None):
                continue
            values = torch.atleast_1d(metric.compute())
            results.update(
                {
                    f"{self.metric_name(metric)}_{k}": value
                    for k, value in zip(metric.top_ks, values, strict=True)
                }
            )
        return results


def _shares(metric: Any) -> bool:
    return isinstance(metric, RankingMetric) and metric.shares_ranking
