"""Tasks that predict a column of the data: classes of two, or numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torchmetrics as tm
from torch import Tensor

from transformers4rec._legacy import legacy
from transformers4rec.torch.block.base import BuildableBlock, SequentialBlock
from transformers4rec.torch.model._task import PredictionTask
from transformers4rec.torch.utils.torch_utils import LambdaModule


def _without_last(x: Tensor) -> Tensor:
    return torch.squeeze(x, -1)


def _rounded(x: Tensor) -> Tensor:
    return torch.round(x).int()


class BinaryClassificationPrepareBlock(BuildableBlock):
    """A linear layer to one number between 0 and 1."""

    def build(self, input_size: Any) -> SequentialBlock:
        """The layer for inputs of this size."""
        return SequentialBlock(
            torch.nn.Linear(input_size[-1], 1, bias=False),
            torch.nn.Sigmoid(),
            LambdaModule(_without_last),
            output_size=[None],
        )


@legacy(home="transformers4rec.torch.model.prediction_task")
class BinaryClassificationTask(PredictionTask):
    """Predicts one column of zeros and ones.

    Args:
        target_name: the column.
        task_name: by which results are found; made of class and target if not given.
        task_block: before the predictions.
        loss: of probabilities and targets; binary cross entropy if not given.
        metrics: precision, recall and accuracy if not given.
        summary_type: how a sequence becomes one vector, "first", "last" or "mean"; None for every position.
    """

    DEFAULT_LOSS = torch.nn.BCELoss()
    DEFAULT_METRICS = (
        tm.Precision(num_classes=2, task="binary"),
        tm.Recall(num_classes=2, task="binary"),
        tm.Accuracy(task="binary"),
    )

    def __init__(
        self,
        target_name: str | None = None,
        task_name: str | None = None,
        task_block: Any = None,
        loss: torch.nn.Module = DEFAULT_LOSS,
        metrics: Iterable[tm.Metric] = DEFAULT_METRICS,
        summary_type: str | None = "first",
    ) -> None:
        self.target_dim = 1
        super().__init__(
            loss=loss,
            metrics=metrics,
            target_name=target_name,
            task_name=task_name,
            summary_type=summary_type,
            task_block=task_block,
            pre=BinaryClassificationPrepareBlock(),
            forward_to_prediction_fn=_rounded,
        )


class RegressionPrepareBlock(BuildableBlock):
    """A linear layer to one number."""

    def build(self, input_size: Any) -> SequentialBlock:
        """The layer for inputs of this size."""
        return SequentialBlock(
            torch.nn.Linear(input_size[-1], 1), LambdaModule(_without_last), output_size=[None]
        )


@legacy(home="transformers4rec.torch.model.prediction_task")
class RegressionTask(PredictionTask):
    """Predicts one column of numbers.

    Args:
        target_name: the column.
        task_name: by which results are found; made of class and target if not given.
        task_block: before the predictions.
        loss: of predictions and targets; mean squared error if not given.
        metrics: mean squared error if not given.
        summary_type: how a sequence becomes one vector, "first", "last" or "mean"; None for every position.
    """

    DEFAULT_LOSS = torch.nn.MSELoss()
    DEFAULT_METRICS = (tm.regression.MeanSquaredError(),)

    def __init__(
        self,
        target_name: str | None = None,
        task_name: str | None = None,
        task_block: Any = None,
        loss: torch.nn.Module = DEFAULT_LOSS,
        metrics: Iterable[tm.Metric] = DEFAULT_METRICS,
        summary_type: str | None = "first",
    ) -> None:
        self.target_dim = 1
        super().__init__(
            loss=loss,
            metrics=metrics,
            target_name=target_name,
            task_name=task_name,
            summary_type=summary_type,
            task_block=task_block,
            pre=RegressionPrepareBlock(),
        )
