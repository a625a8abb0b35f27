"""A number: ratings, times, amounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor
from torch.nn import functional
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric

from merlin_models_torch.outputs.target import Summary, TargetOutput
from merlin_models_torch.schema import ColumnSchema, Schema
from merlin_models_torch.serialize import serializable

_METRICS = ("mae", "mse", "rmse")
_LOSSES = ("huber", "mae", "mse")


@serializable
class RegressionOutput(TargetOutput):
    """A number for each row or position.

    ``forward`` and ``Model.predict`` give it in the units of the target. Metrics are logged as
    ``val_<target>_<metric>``.

    Args:
        target: name of the column of numbers, or its schema.
        weight: column of sample weights, see :class:`TargetOutput`.
        loss: "mse" ``(x - y)^2``, "mae" ``|x - y|``, or "huber" (Huber 1964): ``(x - y)^2 / 2`` up to a
            difference of 1, ``|x - y| - 1/2`` beyond.
        metrics: among "mse", "rmse" and "mae".
        summary: how a sequence becomes one answer, see :class:`TargetOutput`.
        project: whether a linear layer makes the number, see :class:`TargetOutput`.

    Raises:
        ValueError: if the target is not one column, or a choice is unknown.

    Example:
        >>> output = mm.RegressionOutput("price", loss="huber")
        >>> features = click_schema.excluding(["price", "click"])
        >>> model = mm.Model(mm.TabularInputBlock(features), mm.MLPBlock([8]), output)
        >>> model.predict(clicks.slice(0, 3)).column_names
        ['user_id', 'price_score']
    """

    def __init__(
        self,
        target: str | ColumnSchema | Schema,
        *,
        weight: str | None = None,
        loss: Literal["mse", "mae", "huber"] = "mse",
        metrics: Sequence[str] = ("mse", "rmse", "mae"),
        summary: Summary | None = None,
        project: bool = True,
    ) -> None:
        super().__init__(target, weight=weight, metrics=metrics, summary=summary, project=project)
        if loss not in _LOSSES:
            raise ValueError(f"loss is {loss!r}, expected one of {', '.join(_LOSSES)}")
        for name in self.metrics:
            if name not in _METRICS:
                raise ValueError(
                    f"metric {name!r} of {self.target!r} is not known: choose from {', '.join(_METRICS)}"
                )
        self.loss_name: Literal["mse", "mae", "huber"] = loss

    def losses(self, numbers: Tensor, labels: Tensor) -> Tensor:
        """(N,) loss of each of (N,) numbers and labels."""
        labels = labels.to(numbers.dtype)
        if self.loss_name == "mse":
            return functional.mse_loss(numbers, labels, reduction="none")
        if self.loss_name == "mae":
            return functional.l1_loss(numbers, labels, reduction="none")
        return functional.huber_loss(numbers, labels, reduction="none")

    def metric(self, name: str) -> Metric:
        """A fresh metric by name."""
        return MeanAbsoluteError() if name == "mae" else MeanSquaredError(squared=name == "mse")

    def init_arguments(self) -> dict[str, Any]:
        """What builds this output again."""
        return {**super().init_arguments(), "loss": self.loss_name}
