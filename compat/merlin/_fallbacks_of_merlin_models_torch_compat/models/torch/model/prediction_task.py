"""``merlin.models.torch.model.prediction_task`` of V1: tasks without a summary of positions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from merlin.models._legacy import legacy
from merlin.models.torch.model._task import PredictionTask
from torch import Tensor, nn
from torchmetrics import Metric
from transformers4rec.torch.block.base import BuildableBlock, SequentialBlock
from transformers4rec.torch.model import prediction_task as later
from transformers4rec.torch.utils.torch_utils import LambdaModule


def _flat(x: Tensor) -> Tensor:
    return x.view(-1)


def _rounded(x: Tensor) -> Tensor:
    return torch.round(x).int()


@legacy
class BinaryClassificationPrepareBlock(BuildableBlock):
    """A linear layer to one number between 0 and 1 for each row."""

    def __init__(self) -> None: ...

    def build(self, input_size: Any) -> SequentialBlock:
        """The layer for inputs of this size."""
        linear = nn.Linear(input_size[-1], 1, bias=False)
        return SequentialBlock(linear, nn.Sigmoid(), LambdaModule(_flat), output_size=[None])


@legacy
class BinaryClassificationTask(PredictionTask):
    """Predicts one column of zeros and ones.

    Args:
        target_name: the column.
        task_name: by which results are found; made of class and target if not given.
        task_block: before the predictions.
        loss: of probabilities and targets; binary cross entropy if not given.
        metrics: precision, recall and accuracy if not given.
    """

    DEFAULT_LOSS = later.BinaryClassificationTask.DEFAULT_LOSS
    DEFAULT_METRICS = later.BinaryClassificationTask.DEFAULT_METRICS

    def __init__(
        self,
        target_name: str | None = None,
        task_name: str | None = None,
        task_block: Any = None,
        loss: nn.Module = DEFAULT_LOSS,
        metrics: Iterable[Metric] = DEFAULT_METRICS,
    ) -> None:
        pre = BinaryClassificationPrepareBlock()
        super().__init__(loss, metrics, target_name, task_name, _rounded, task_block, pre)


@legacy
class RegressionPrepareBlock(BuildableBlock):
    """A linear layer to one number for each row."""

    def __init__(self) -> None: ...

    def build(self, input_size: Any) -> SequentialBlock:
        """The layer for inputs of this size."""
        return SequentialBlock(nn.Linear(input_size[-1], 1), LambdaModule(_flat), output_size=[None])


@legacy
class RegressionTask(PredictionTask):
    """Predicts one column of numbers.

    Args:
        target_name: the column.
        task_name: by which results are found; made of class and target if not given.
        task_block: before the predictions.
        loss: of predictions and targets; mean squared error if not given.
        metrics: mean squared error if not given.
    """

    DEFAULT_LOSS = later.RegressionTask.DEFAULT_LOSS
    DEFAULT_METRICS = later.RegressionTask.DEFAULT_METRICS

    def __init__(
        self,
        target_name: str | None = None,
        task_name: str | None = None,
        task_block: Any = None,
        loss: nn.Module = DEFAULT_LOSS,
        metrics: Iterable[Metric] = DEFAULT_METRICS,
    ) -> None:
        super().__init__(
            loss, metrics, target_name, task_name, task_block=task_block, pre=RegressionPrepareBlock()
        )
