"""Tasks of V1: what is predicted of the body's output, with a loss and metrics that are asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from merlin.models._legacy import legacy
from torch import Tensor, nn
from torchmetrics import Metric
from transformers4rec.torch.model.prediction_task import BinaryClassificationTask
from transformers4rec.torch.model.prediction_task import PredictionTask as LaterTask

_OF_CLASSES = tuple(type(metric) for metric in BinaryClassificationTask.DEFAULT_METRICS)


def _same(x: Tensor) -> Tensor:
    return x


@legacy(home="merlin.models.torch.model.base")
class PredictionTask(LaterTask):
    """What is predicted of the body's output; a subclass may have a ``forward`` of its own.

    Args:
        loss: of predictions and targets.
        metrics: of predictions and targets.
        target_name: column of the targets.
        task_name: by which results are found; made of class and target if not given.
        forward_to_prediction_fn: applied to predictions before metrics.
        task_block: before the predictions.
        pre: makes the predictions.
    """

    def __init__(
        self,
        loss: nn.Module,
        metrics: Iterable[Metric] = (),
        target_name: str | None = None,
        task_name: str | None = None,
        forward_to_prediction_fn: Callable[[Tensor], Tensor] = _same,
        task_block: Any = None,
        pre: Any = None,
    ) -> None:
        super().__init__(
            loss,
            metrics,
            target_name,
            task_name,
            forward_to_prediction_fn,
            task_block,
            pre,
            summary_type=None,
        )

    def forward(self, inputs: Tensor, **kwargs: Any) -> Tensor:  # type: ignore[override]
        """Predictions of the body's output, also in training.

        Args:
            inputs: (B, D) float.
            **kwargs: not used.
        """
        for part in (self.task_block, self.pre):
            inputs = part(inputs) if part else inputs
        return inputs

    def _of_task(self, targets: Any) -> Any:
        return targets[self.target_name] if isinstance(targets, dict) and self.target_name else targets

    def compute_loss(
        self,
        inputs: Any,
        targets: Any,
        compute_metrics: bool = True,
        training: bool = False,
        **kwargs: Any,
    ) -> Tensor:
        """The loss of a batch, which the metrics follow.

        Args:
            inputs: the body's output.
            targets: by name of the column, or one tensor.
            compute_metrics: whether the metrics follow.
            training: given to ``forward``.
            **kwargs: not used.
        """
        targets = self._of_task(targets)
        predictions = self(inputs, training=training)
        loss: Tensor = self.loss(predictions, targets)
        if compute_metrics:
            self.calculate_metrics(predictions, targets, mode="train", forward=False)
        return loss

    def calculate_metrics(  # type: ignore[override]
        self, predictions: Any, targets: Any, mode: str = "val", forward: bool = True, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Adds a batch to the metrics and gives its own values, by name.

        Args:
            predictions: the body's output, or predictions without ``forward``.
            targets: by name of the column, or one tensor.
            mode: not used.
            forward: whether predictions have still to be made.
            **kwargs: not used.
        """
        targets = self._of_task(targets)
        predictions = self.forward_to_prediction_fn(self(predictions) if forward else predictions)
        values = {}
        for metric in self.metrics:
            # A metric of numbers that comes after one of classes gets whole targets, too, as in V1.
            targets = targets.int() if isinstance(metric, _OF_CLASSES) else targets
            values[self.metric_name(metric)] = metric(predictions, targets)
        return values

    def to_head(self, body: Any, inputs: Any = None, **kwargs: Any) -> Any:
        """A head with this one task."""
        from merlin.models.torch.model.base import Head

        return Head(body, self, inputs=inputs, **kwargs)
