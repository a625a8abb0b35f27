"""Yes or no: the probability of a label of 0 or 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryAUROC,
    BinaryAveragePrecision,
    BinaryF1Score,
    BinaryPrecision,
    BinaryRecall,
)

from merlin_models_torch.metrics import LogLoss
from merlin_models_torch.outputs.target import Summary, TargetOutput
from merlin_models_torch.schema import ColumnSchema, Schema
from merlin_models_torch.serialize import serializable

_METRICS: dict[str, type[Metric]] = {
    "auc": BinaryAUROC,
    "average_precision": BinaryAveragePrecision,
    "log_loss": LogLoss,
}
_AT_THRESHOLD: dict[str, type[Metric]] = {
    "accuracy": BinaryAccuracy,
    "f1": BinaryF1Score,
    "precision": BinaryPrecision,
    "recall": BinaryRecall,
}


@serializable
class BinaryOutput(TargetOutput):
    """The probability that a label is 1, trained by binary cross entropy if not said otherwise.

    ``forward`` gives logits, ``Model.predict`` probabilities in a column ``<target>_score``. Metrics are
    logged as ``val_<target>_<metric>``.

    Args:
        target: name of the column of labels 0 and 1, or its schema (``schema.select(Tags.BINARY)``).
        weight: column of sample weights, see :class:`TargetOutput`.
        positive_weight: labels of 1 count so many times in the loss; the probabilities shift with it.
        metrics: among "auc", "average_precision", "log_loss", "accuracy", "f1", "precision" and "recall".
        threshold: probability from which an answer counts as yes in the last four.
        summary: how a sequence becomes one answer, see :class:`TargetOutput`.
        project: whether a linear layer makes the logit, see :class:`TargetOutput`.
        bias: whether that layer has a bias; without one (as in Transformers4Rec) a vector of zeros means 1/2.
        loss: "bce", the cross entropy of the logit; of the probability p, "mae" ``|p - y|``, or "mse"
            ``(p - y)^2`` (Brier 1950).

    Raises:
        ValueError: if the target is not one column, or a choice is unknown or out of range.

    Example:
        >>> output = mm.BinaryOutput("click", metrics=("auc", "log_loss"))
        >>> model = mm.Model(mm.TabularInputBlock(click_schema), mm.MLPBlock([8]), output)
        >>> answers = model.predict(clicks.slice(0, 3))
        >>> 0 < answers["click_score"][0].as_py() < 1
        True
    """

    def __init__(
        self,
        target: str | ColumnSchema | Schema,
        *,
        weight: str | None = None,
        positive_weight: float = 1.0,
        metrics: Sequence[str] = ("auc", "accuracy", "precision", "recall", "log_loss"),
        threshold: float = 0.5,
        summary: Summary | None = None,
        project: bool = True,
        bias: bool = True,
        loss: Literal["bce", "mae", "mse"] = "bce",
    ) -> None:
        super().__init__(target, weight=weight, metrics=metrics, summary=summary, project=project, bias=bias)
        for name in self.metrics:
            if name not in _METRICS and name not in _AT_THRESHOLD:
                known = ", ".join(sorted({*_METRICS, *_AT_THRESHOLD}))
                raise ValueError(f"metric {name!r} of {self.target!r} is not known: choose from {known}")
        if not positive_weight > 0:
            raise ValueError(f"positive_weight is {positive_weight}, expected a number above 0")
        if not 0 < threshold < 1:
            raise ValueError(f"threshold is {threshold}, expected a probability between 0 and 1")
        if loss not in ("bce", "mae", "mse"):
            raise ValueError(f"loss is {loss!r}, expected 'bce', 'mae' or 'mse'")
        self.loss_name: Literal["bce", "mae", "mse"] = loss
        self.positive_weight = positive_weight
        self.threshold = threshold

    def losses(self, numbers: Tensor, labels: Tensor) -> Tensor:
        """``-p y log s(x) - (1 - y) log(1 - s(x))``, ``s`` the sigmoid, ``p`` the weight of a 1; or another.

        Args:
            numbers: (N,) logits.
            labels: (N,) between 0 and 1.

        Returns:
            (N,) float.

        Raises:
            ValueError: if a label is not in [0, 1].
        """
        wrong = (labels < 0) | (labels > 1)
        if bool(wrong.any()):
            raise ValueError(
                f"target {self.target!r} has label {labels[wrong][0].item():g}, expected 0 or 1: encode the "
                "labels, or use RegressionOutput"
            )
        positive = numbers.new_tensor(self.positive_weight)
        if self.loss_name != "bce":
            labels = labels.to(numbers.dtype)
            away = (numbers.sigmoid() - labels).abs()
            each = away if self.loss_name == "mae" else away.square()
            return torch.where(labels > 0.5, positive * each, each)
        return torch.nn.functional.binary_cross_entropy_with_logits(
            numbers, labels.to(numbers.dtype), pos_weight=positive, reduction="none"
        )

    def link(self, numbers: Tensor) -> Tensor:
        """Probabilities."""
        return numbers.sigmoid()

    def metric(self, name: str) -> Metric:
        """A fresh metric by name."""
        if name in _AT_THRESHOLD:
            return _AT_THRESHOLD[name](threshold=self.threshold)
        return _METRICS[name]()

    def judged(self, labels: Tensor) -> Tensor:
        """Labels as integers, which is what torchmetrics takes; of a probability, the likelier one."""
        return (labels > 0.5).long()

    def init_arguments(self) -> dict[str, Any]:
        """What builds this output again."""
        own = {
            "positive_weight": self.positive_weight,
            "threshold": self.threshold,
            "bias": self.bias,
            "loss": self.loss_name,
        }
        return {**super().init_arguments(), **own}
