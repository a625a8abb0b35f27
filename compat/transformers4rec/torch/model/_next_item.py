"""The task that predicts items."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torchmetrics as tm
from torch import Tensor
from torch.func import functional_call

from merlin_models_torch.outputs.losses import softmax_cross_entropy
from transformers4rec._legacy import legacy, tell_once
from transformers4rec.torch._outputs import Deferred, Outputs
from transformers4rec.torch.block.mlp import MLPBlock
from transformers4rec.torch.masking import MaskedLanguageModeling
from transformers4rec.torch.model import _item_metrics
from transformers4rec.torch.model._item_scores import NextItemPredictionPrepareBlock, _NextItemPredictionTask
from transformers4rec.torch.model._ranked_scores import RankedScores, best_of, best_wanted
from transformers4rec.torch.model._task import PredictionTask
from transformers4rec.torch.ranking_metric import AvgPrecisionAt, NDCGAt, RecallAt

LOG = logging.getLogger("transformers4rec")


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
        padding_idx: id of padding; that of the masking counts.
        target_dim: number of items; that of the item embedding table if not given.
        sampled_softmax: whether training scores only the target and some negatives.
        max_n_samples: negatives at most.
        hf_format: of before 23.02; has no effect.
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
        hf_format: bool | None = None,
    ) -> None:
        if hf_format is not None:
            tell_once(
                "hf_format",
                "hf_format= is gone since 23.02: leave it out; called with training=True or testing=True the "
                "model gives a dictionary of loss, labels and predictions, else the predictions",
            )
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
        inputs = _checked(inputs or body.inputs)
        # Assigned in the order of 23.12.0, in which a state dict lists them.
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
        scores = NextItemPredictionPrepareBlock(
            target_dim=self.target_dim,
            weight_tying=self.weight_tying,
            item_embedding_table=self.item_embedding_table,
            softmax_temperature=self.softmax_temperature,
            sampled_softmax=self.sampled_softmax,
            max_n_samples=self.max_n_samples,
            min_id=self.padding_idx + 1,
        )
        super().build(body, input_size, device=device, inputs=inputs, task_block=task_block, pre=scores)

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
            (B, top_k). Sampled softmax has in training predictions (N, 1 + M) and labels of zeros.
        """
        x = (inputs[0] if isinstance(inputs, tuple | list) else inputs).float()
        if self.task_block:
            x = self.task_block(x)
        if training or testing:
            labels = self.masking.masked_targets
            targeted = labels != self.padding_idx
            return self._of_targets(x[targeted], labels[targeted].long(), training, testing)
        last = x[self._last(x)]
        return self.pre(last)[0] if top_k is None else best_of(self.pre, last, top_k)

    def _of_targets(self, x: Tensor, labels: Tensor, training: bool, testing: bool) -> dict[str, Any]:
        """Loss, labels and scores of (N, D) targeted positions."""
        if not len(labels):
            tell_once(
                "no targets",
                "a batch has no item to predict, so its loss is nan, as in Transformers4Rec 23.12.0: leave "
                "out sessions of one item",
            )
        elif testing and (k := self._best_wanted()):
            ranked = RankedScores(self.pre, x, labels, k=k, label_smoothing=self.loss.label_smoothing)
            return Outputs(loss=ranked.loss, labels=labels, predictions=ranked)
        elif training and not testing and self._loss_needs_no_scores():
            loss = self._loss_without_scores(x, labels)
            scores = Deferred(lambda: self.pre(x)[0])
            scores.before_steps(loss, lambda: self._scores_as_they_are(x))
            return Outputs(loss=loss, labels=labels, predictions=scores)
        scores, labels = self.pre(x, targets=labels, training=training, testing=testing)
        return {"loss": self.loss(scores, labels), "labels": labels, "predictions": scores}

    def _best_wanted(self) -> int:
        """How many items whoever evaluates wants of each row; 0 where scores of all are needed."""
        return best_wanted() if self._loss_needs_no_scores() and not torch.is_grad_enabled() else 0

    def _loss_needs_no_scores(self) -> bool:
        """Whether the core's cross entropy is the loss of just these scores."""
        loss, module = self.loss, getattr(self.pre, "module", None)
        return (
            type(loss) is torch.nn.CrossEntropyLoss
            and loss.weight is None
            and loss.reduction == "mean"
            and loss.ignore_index < 0
            and type(module) is _NextItemPredictionTask
            and not module.sampled_softmax
        )

    def _loss_without_scores(self, x: Tensor, labels: Tensor) -> Tensor:
        weight = self.pre.module.weight_for(x)
        try:
            return softmax_cross_entropy(
                x,
                weight,
                labels,
                temperature=self.pre.module.softmax_temperature or 1,
                label_smoothing=self.loss.label_smoothing,
            )
        except ValueError as error:
            # What torch raises for a label that is no class.
            raise IndexError(str(error)) from error

    def _scores_as_they_are(self, x: Tensor) -> Callable[[], Tensor]:
        """Makes the scores of today's weights later. A copy of these is small beside the scores."""
        weights = {name: weight.detach().clone() for name, weight in self.pre.named_parameters()}
        return lambda: functional_call(self.pre, weights, (x.detach(),))[0]

    def _last(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Row and position that answer what comes next."""
        items = self.embeddings.item_seq
        last = (items != self.padding_idx).sum(dim=1)
        if not isinstance(self.masking, MaskedLanguageModeling):
            last = last - 1
        return torch.arange(items.shape[0], device=x.device), last

    def remove_pad_3d(self, inp_tensor: Tensor, non_pad_mask: Tensor) -> Tensor:
        """(N, D), the vectors of (B, T, D) where the flat mask (B * T,) is set."""
        return inp_tensor.flatten(end_dim=1)[non_pad_mask]

    def calculate_metrics(self, predictions: Tensor, targets: Any) -> dict[str, Tensor]:
        """Adds a batch to the metrics and gives its own values, by name.

        Args:
            predictions: (N, V) scores.
            targets: (N,) item ids, or these by column.
        """
        if isinstance(targets, dict) and self.target_name:
            targets = targets[self.target_name]
        return _item_metrics.update(self, self.forward_to_prediction_fn(predictions), targets)

    def compute_metrics(self) -> dict[str, Tensor]:
        """The ranking metrics over all batches since the last reset, by name and cut-off."""
        return _item_metrics.by_cut_off(self)


def _checked(inputs: Any) -> Any:
    """An input block with an item column and a masking."""
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
    return inputs
