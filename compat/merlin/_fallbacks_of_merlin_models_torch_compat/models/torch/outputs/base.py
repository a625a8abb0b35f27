"""``merlin.models.torch.outputs.base``: modules that end in a prediction, with its loss and metrics."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from merlin.models._legacy import legacy
from merlin.models.torch.block import Block
from merlin.models.torch.transforms.bias import LogitsTemperatureScaler
from merlin.schema import Schema
from torch import nn
from torchmetrics import Metric


@legacy
class ModelOutput(Block):
    """Modules that end in a prediction.

    Args:
        *module: the modules.
        loss: of predictions and targets.
        metrics: of predictions and targets.
        logits_temperature: divides what the modules give.
        name: shown when the block is printed.
    """

    target: torch.Tensor

    def __init__(
        self,
        *module: nn.Module,
        loss: nn.Module | None = None,
        metrics: Sequence[Metric] | None = None,
        logits_temperature: float = 1.0,
        name: str | None = None,
    ) -> None:
        super().__init__(*module, name=name)
        self.loss: Any = loss
        # Not a ModuleList: metrics are no part of the weights.
        self.metrics: Any = metrics
        self.create_target_buffer()
        if logits_temperature != 1.0:
            self.append(LogitsTemperatureScaler(logits_temperature))

    def create_target_buffer(self) -> None:
        """A label for rows that come without one."""
        self.register_buffer("target", torch.zeros(1))

    def eval(self) -> Any:
        """Evaluation mode, with the label for rows without one set back to 0."""
        self.target = torch.zeros(1, device=self.target.device)
        return self.train(False)

    def copy(self) -> Any:
        """An output of its own with the same weights, and metrics of the same kind."""
        metrics, self.metrics = self.metrics, []
        try:
            made = copy.deepcopy(self)
        finally:
            self.metrics = metrics
        # Metrics that have seen a batch hold tensors that deepcopy refuses.
        made.metrics = None if metrics is None else [_anew(metric) for metric in metrics]
        return made


def _anew(metric: Any) -> Any:
    options = {
        name: metric.__dict__[name]
        for name in inspect.signature(type(metric).__init__).parameters
        if name in metric.__dict__
    }
    made = type(metric)(**options)
    made.load_state_dict(metric.state_dict())
    return made


def one_column(target: Any) -> Any:
    """The column of a schema of one, or the column itself.

    Raises:
        ValueError: if there are several.
    """
    if not isinstance(target, Schema):
        return target
    if len(target) != 1:
        raise ValueError(f"an output has one target, got {target.column_names}: give one")
    return target.first


def unit_domain(column: Any) -> Any:
    """A column of numbers from 0 to 1."""
    return column.with_dtype("float32").with_properties({"domain": {"min": 0, "max": 1, "name": column.name}})
