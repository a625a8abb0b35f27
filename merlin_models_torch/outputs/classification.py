"""One of several classes: a softmax over the ids of a target column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from merlin_models_torch._counts import check_count
from merlin_models_torch.outputs.labels import single_column
from merlin_models_torch.outputs.target import Summary, TargetOutput
from merlin_models_torch.schema import ColumnSchema, Schema
from merlin_models_torch.serialize import serializable

_METRICS = ("accuracy", "macro_f1")


@serializable
class ClassificationOutput(TargetOutput):
    """Which class a label names, for a column of ids other than the item sequence.

    ``forward`` gives logits of all classes; ``Model.predict`` gives the best class in ``<target>_class`` and
    its probability in ``<target>_score``. For the next item of a sequence use :class:`CategoricalOutput`,
    which shares the input's embeddings and never holds all logits.

    Args:
        target: the column's schema, or its name together with ``classes``.
        classes: number of classes, ids 0 to ``classes - 1``; taken from the schema's int domain if not given.
        weight: column of sample weights, see :class:`TargetOutput`.
        label_smoothing: share of the probability spread over all classes.
        metrics: among "accuracy" and "macro_f1" (the mean of F1 over classes).
        summary: how a sequence becomes one answer, see :class:`TargetOutput`.
        project: whether a linear layer makes the logits, see :class:`TargetOutput`.

    Raises:
        ValueError: if the number of classes is not known or below 2, or a choice is unknown.
        TypeError: if the number of classes is no whole number.

    Example:
        >>> ClassificationOutput("brand", classes=5).numbers
        5
    """

    def __init__(
        self,
        target: str | ColumnSchema | Schema,
        *,
        classes: int | None = None,
        weight: str | None = None,
        label_smoothing: float = 0.0,
        metrics: Sequence[str] = ("accuracy",),
        summary: Summary | None = None,
        project: bool = True,
    ) -> None:
        column = single_column(target)
        if classes is None:
            largest = (column.properties.get("domain") or {}).get("max")
            if largest is None:
                raise ValueError(
                    f"the classes of {column.name!r} are not known: give classes, or the schema of a column "
                    "with an int domain"
                )
            classes = int(largest) + 1
        check_count(f"classes of {column.name!r}", classes)
        if classes < 2:
            raise ValueError(f"classes of {column.name!r} is {classes}, expected at least 2")
        super().__init__(
            column, weight=weight, metrics=metrics, summary=summary, project=project, numbers=classes
        )
        for name in self.metrics:
            if name not in _METRICS:
                raise ValueError(
                    f"metric {name!r} of {self.target!r} is not known: choose from {', '.join(_METRICS)}"
                )
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing is {label_smoothing}, expected a number from 0 to 1")
        self.classes = classes
        self.label_smoothing = label_smoothing

    def losses(self, numbers: Tensor, labels: Tensor) -> Tensor:
        """(N,) cross entropy of (N, C) logits and (N,) labels.

        Raises:
            ValueError: if a label is no class.
        """
        labels = labels.long()
        wrong = (labels < 0) | (labels >= self.classes)
        if bool(wrong.any()):
            raise ValueError(
                f"target {self.target!r} has label {int(labels[wrong][0])}, expected 0 to "
                f"{self.classes - 1}: encode the labels, or raise classes"
            )
        return torch.nn.functional.cross_entropy(
            numbers, labels, label_smoothing=self.label_smoothing, reduction="none"
        )

    def link(self, numbers: Tensor) -> Tensor:
        """Probabilities."""
        return numbers.softmax(-1)

    def columns(self, numbers: Tensor) -> dict[str, Tensor]:
        """The best class and its probability."""
        best, which = self.link(numbers).max(-1)
        return {f"{self.target}_class": which, f"{self.target}_score": best}

    def judged(self, labels: Tensor) -> Tensor:
        """Labels as integers."""
        return labels.long()

    def metric(self, name: str) -> Metric:
        """A fresh metric by name."""
        if name == "accuracy":
            return MulticlassAccuracy(self.classes, average="micro")
        return MulticlassF1Score(self.classes, average="macro")

    def init_arguments(self) -> dict[str, Any]:
        """What builds this output again."""
        own = {"classes": self.classes, "label_smoothing": self.label_smoothing}
        return {**super().init_arguments(), **own}
