"""``merlin.models.torch.outputs.base``: modules that end in a prediction, with its loss and metrics."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from merlin.models._legacy import legacy
from merlin.models.torch.block import Block
from merlin.models.torch.transforms.bias import LogitsTemperatureScaler
from torch import nn
from torchmetrics import Metric

from merlin_models_torch.schema import ColumnSchema, Schema, as_schema


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
        self.metrics = list(metrics or ())
        self.output_schema = Schema()
        self.create_target_buffer()
        if logits_temperature != 1.0:
            self.append(LogitsTemperatureScaler(logits_temperature))

    @property
    def initialized(self) -> bool:
        """Whether the target is known."""
        return bool(len(self.output_schema))

    def create_target_buffer(self) -> None:
        """A label for rows that come without one."""
        self.register_buffer("target", torch.zeros(1))

    def copy(self) -> ModelOutput:
        """An output of its own with the same weights."""
        return copy.deepcopy(self)


def one_column(target: Any) -> Any:
    """The column of a schema of one, or the column itself.

    Raises:
        ValueError: if there are several.
    """
    if not hasattr(target, "column_names"):
        return target
    columns = list(as_schema(target))
    if len(columns) != 1:
        raise ValueError(f"an output has one target, got {[column.name for column in columns]}: give one")
    return columns[0]


def unit_domain(column: ColumnSchema) -> ColumnSchema:
    """A column of numbers from 0 to 1."""
    return column.with_dtype("float32").with_properties({"domain": {"min": 0, "max": 1, "name": column.name}})
