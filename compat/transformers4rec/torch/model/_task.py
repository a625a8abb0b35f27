"""What every prediction task is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torchmetrics as tm
from torch import Tensor

from transformers4rec._legacy import legacy
from transformers4rec._registry import camelcase_to_snakecase
from transformers4rec.torch.block.base import BuildableBlock
from transformers4rec.torch.model._summary import SequenceSummary
from transformers4rec.torch.utils.torch_utils import LossMixin, MetricsMixin


def name_fn(name: str | None, inp: str) -> str | None:
    """Both names with a slash between them."""
    return f"{name}/{inp}" if name else None


def identity(x: Any) -> Any:
    """What it is given."""
    return x


@legacy(home="transformers4rec.torch.model.base")
class PredictionTask(torch.nn.Module, LossMixin, MetricsMixin):
    """What is predicted from the body's output, with its loss and metrics.

    Args:
        loss: of predictions and targets.
        metrics: of predictions and targets.
        target_name: column of the targets.
        task_name: by which results are found; made of class and target if not given.
        forward_to_prediction_fn: applied to predictions before metrics.
        task_block: before the predictions.
        pre: makes the predictions.
        summary_type: how a sequence becomes one vector, "last", "first" or "mean"; None for every position.
    """

    def __init__(
        self,
        loss: torch.nn.Module,
        metrics: Iterable[tm.Metric] | None = None,
        target_name: str | None = None,
        task_name: str | None = None,
        forward_to_prediction_fn: Callable[[Tensor], Tensor] = identity,
        task_block: Any = None,
        pre: Any = None,
        summary_type: str | None = "last",
    ) -> None:
        super().__init__()
        self.summary_type = summary_type
        self.sequence_summary = SequenceSummary(summary_type)
        self.target_name = target_name
        self.forward_to_prediction_fn = forward_to_prediction_fn
        self.set_metrics(metrics)
        self.loss = loss
        self.pre = pre
        self.task_block = task_block
        self._task_name = task_name

    def build(
        self,
        body: Any,
        input_size: Any,
        inputs: Any = None,
        device: Any = None,
        task_block: Any = None,
        pre: Any = None,
    ) -> None:
        """Makes the blocks after a body; a head calls it.

        Args:
            body: the body.
            input_size: size of its output.
            inputs: the input block.
            device: where to put the task.
            task_block: takes the place of the task's own.
            pre: the same.
        """
        if task_block:
            self.task_block = task_block
        if pre:
            self.pre = pre
        if self.task_block:
            self.task_block = self._built(self.task_block, input_size)
            input_size = self.task_block.output_size()
        if self.pre:
            self.pre = self._built(self.pre, input_size)
        if device:
            self.to(device)
        self.built = True

    @staticmethod
    def _built(block: Any, input_size: Any) -> Any:
        # A module serves several tasks as a pattern, so each takes a copy. A description builds anew; that of
        # merlin.models.torch is a module as well.
        if isinstance(block, torch.nn.Module) and not isinstance(block, BuildableBlock):
            return copy.deepcopy(block)
        return block.build(input_size)

    def forward(
        self, inputs: Tensor, targets: Tensor | None = None, training: bool = False, testing: bool = False
    ) -> Any:
        """Predictions, in training and evaluation with loss and labels.

        Args:
            inputs: (B, D), or (B, T, D) to be summarised.
            targets: (B,), or (B, T) without a summary.
            training: whether this is training.
            testing: whether it is evaluation; neither means inference.

        Raises:
            AttributeError: if targets are missing.
            ValueError: if they are no matrix where there is no summary.
        """
        x = inputs
        if x.dim() == 3 and self.summary_type:
            x = self.sequence_summary(x)
        if self.task_block:
            x = self.task_block(x)
        if self.pre:
            x = self.pre(x)
        return self._with_loss(x, targets) if training or testing else x

    def _with_loss(self, predictions: Tensor, targets: Tensor | None) -> dict[str, Tensor]:
        if targets is None:
            raise AttributeError(
                f"task {self.task_name!r} got no targets: give targets with a column {self.target_name!r}, "
                "which the loader reads where the schema tags it as a target"
            )
        if self.summary_type is None and targets.dim() != 2:
            raise ValueError(
                f"without a summary targets have to be (rows, positions), got {tuple(targets.shape)}: give "
                "summary_type, or a list column as target"
            )
        loss = self.loss(predictions, target=targets)
        return {"loss": loss, "labels": targets, "predictions": predictions}

    @property
    def task_name(self) -> str:
        """By which results are found."""
        if self._task_name:
            return self._task_name
        name = camelcase_to_snakecase(type(self).__name__)
        return name_fn(self.target_name, name) or name

    def child_name(self, name: str) -> str | None:
        """A name below the task's."""
        return name_fn(self.task_name, name)

    def set_metrics(self, metrics: Iterable[tm.Metric] | None) -> None:
        """Takes other metrics."""
        self.metrics = torch.nn.ModuleList(metrics)

    def calculate_metrics(self, predictions: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Adds a batch to the metrics and gives its own values, by name."""
        from transformers4rec.torch.model.prediction_task import BinaryClassificationTask

        whole = tuple(type(metric) for metric in BinaryClassificationTask.DEFAULT_METRICS)
        predictions = self.forward_to_prediction_fn(predictions)
        outputs = {}
        for metric in self.metrics:
            if isinstance(metric, whole):
                targets = targets.int()
            outputs[self.metric_name(metric)] = metric(predictions, targets)
        return outputs

    def compute_metrics(self, **kwargs: Any) -> dict[str, Any]:
        """The metrics over all batches since the last reset, by name."""
        return {self.metric_name(metric): metric.compute() for metric in self.metrics}

    def metric_name(self, metric: tm.Metric) -> str:
        """Name of a metric, below the task's."""
        return self.child_name(camelcase_to_snakecase(type(metric).__name__)) or ""

    def reset_metrics(self) -> None:
        """Forgets all batches."""
        for metric in self.metrics:
            metric.reset()

    def to_head(self, body: Any, inputs: Any = None, **kwargs: Any) -> Any:
        """A head with this one task."""
        from transformers4rec.torch.model._head import Head

        return Head(body, self, inputs=inputs, **kwargs)

    def to_model(self, body: Any, inputs: Any = None, **kwargs: Any) -> Any:
        """A model with this one task."""
        return self.to_head(body, inputs=inputs, **kwargs).to_model(**kwargs)
