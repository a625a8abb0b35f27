"""``merlin.models.torch.outputs.regression``: a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from merlin.models._legacy import legacy
from merlin.models.torch.outputs.base import ModelOutput, one_column
from merlin.schema import Schema, Tags
from torch import nn
from torchmetrics import MeanSquaredError, Metric


@legacy
class RegressionOutput(ModelOutput):
    """A linear unit, trained by the mean squared error.

    Args:
        schema: the target; given later by the block that it is put in if None.
        loss: another loss.
        metrics: the mean squared error if not given.
    """

    DEFAULT_LOSS_CLS = nn.MSELoss
    DEFAULT_METRICS_CLS = (MeanSquaredError,)

    def __init__(
        self, schema: Any = None, loss: nn.Module | None = None, metrics: Sequence[Metric] = ()
    ) -> None:
        super().__init__(
            nn.LazyLinear(1),
            loss=loss or self.DEFAULT_LOSS_CLS(),
            metrics=metrics or [metric() for metric in self.DEFAULT_METRICS_CLS],
        )
        if schema is not None:
            self.initialize_from_schema(schema)
            self._initialized_from_schema = True

    def initialize_from_schema(self, target: Any) -> None:
        """Sets the target."""
        column = one_column(target)
        self.output_schema = Schema([column.with_dtype("float32").with_tags([Tags.CONTINUOUS])])
