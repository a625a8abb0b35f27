"""One answer for each row or position, trained on a column of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from merlin_models_torch._counts import as_names
from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.outputs.base import Widths
from merlin_models_torch.outputs.labels import by_position, column_of, items_visible, per_row, single_column
from merlin_models_torch.schema import ColumnSchema, Schema

Summary = Literal["last", "first", "mean", "none"]


class TargetOutput(nn.Module):
    """What outputs for a column of labels share: a linear layer, labels and sample weights.

    Args:
        target: name of the label's column, or its schema.
        weight: name of a column with a weight for each row (or position); it may be among the batch's
            targets or features. The loss is the weighted mean.
        metrics: names of metrics.
        summary: how a sequence becomes one answer: its "last" or "first" position or the "mean"; "none" gives
            an answer and needs a label for every position. If not given, "none" for a list column, else
            "last". Without sequences it changes nothing.
        project: whether a linear layer makes the numbers (one, or one for each class) of the body's vector;
            without it, the body gives them.
        numbers: how many make an answer; None for a single one without a dimension of its own.
        bias: whether the linear layer adds a number of its own.

    Raises:
        ValueError: if the target is not one column, or a choice is unknown.
    """

    needs_plan = False

    def __init__(
        self,
        target: str | ColumnSchema | Schema,
        *,
        weight: str | None,
        metrics: Sequence[str],
        summary: Summary | None,
        project: bool,
        numbers: int | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        column = single_column(target)
        if summary not in (None, "last", "first", "mean", "none"):
            raise ValueError(f"summary is {summary!r}, expected 'last', 'first', 'mean' or 'none'")
        self.target = column.name
        self.weight = weight
        self.metrics = as_names(f"metrics of {column.name!r}", metrics)
        self.summary: Summary = summary or ("none" if column.is_list else "last")
        self.project = project
        self.numbers = numbers
        self.bias = bias
        self.linear: nn.Linear | None = None

    def build(self, inputs: Any, width: Widths) -> None:
        """Makes the linear layer.

        Args:
            inputs: not used.
            width: of the body's output.

        Raises:
            ValueError: if the body gives several outputs, or more than one number without ``project``.
        """
        if not isinstance(width, int):
            raise ValueError(
                f"the body gives several outputs ({', '.join(width)}) and {self.target!r} needs one: join "
                "them, or use TabularOutputBlock, which gives each target the one of its name"
            )
        if self.project:
            self.linear = nn.Linear(width, self.numbers or 1, bias=self.bias)
        elif width != (self.numbers or 1):
            raise ValueError(
                f"the body gives {width} numbers for {self.target!r}, but project=False needs "
                f"{self.numbers or 1}: end it with that width, or leave out project=False"
            )

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """The number (or numbers of the classes) before any link function.

        Args:
            hidden: (B, D), or (B, T, D) from a body of sequences.
            batch: with the plan of the sequences, if there are some.

        Returns:
            (B,); (B, T) for sequences with summary "none"; of several classes (B, C) or (B, T, C).
        """
        if hidden.dim() == 3 and self.summary != "none":
            hidden = self._summarized(hidden, batch)
        if self.project:
            if self.linear is None:
                raise RuntimeError("this output has no weights yet: put it into a Model, or call build()")
            hidden = self.linear(hidden)
        return hidden.squeeze(-1) if self.numbers is None else hidden

    def _summarized(self, hidden: Tensor, batch: Batch) -> Tensor:
        lengths = items_visible(batch, hidden.shape[1])
        if self.summary == "first":
            return hidden[:, 0]
        if lengths is None:
            return hidden[:, -1] if self.summary == "last" else hidden.mean(1)
        if self.summary == "last":
            rows = torch.arange(hidden.shape[0], device=hidden.device)
            return hidden[rows, (lengths - 1).clamp(min=0)]
        inside = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
        return (hidden * inside[..., None]).sum(1) / lengths.clamp(min=1)[:, None]

    def targets(self, batch: Batch) -> Tensor:
        """(N,) labels, row by row; of sequences as many as are visible."""
        column = column_of(batch, self.target)
        if isinstance(column, Ragged) or column.dim() == 2:
            steps = int(column.lengths.max()) if isinstance(column, Ragged) else column.shape[1]
            values, inside = by_position(batch, column, steps)
            return values[inside]
        return column

    def count(self, batch: Batch) -> int:
        """Labels in the batch."""
        return len(self.targets(batch))

    def answers(self, hidden: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Numbers (N,) or (N, C), labels (N,), and weights (N,) if there are some."""
        numbers = self(hidden, batch)
        label = column_of(batch, self.target)
        weight = None if self.weight is None else column_of(batch, self.weight, role="weight")
        if numbers.dim() == (1 if self.numbers is None else 2):
            weight = None if weight is None else per_row(weight, str(self.weight)).float()
            return numbers, per_row(label, self.target), weight
        values, inside = by_position(batch, label, numbers.shape[1])
        if weight is not None:
            weight = by_position(batch, weight, numbers.shape[1])[0][inside].float()
        return numbers[inside], values[inside], weight

    def loss(self, hidden: Tensor, batch: Batch, *, generator: torch.Generator | None = None) -> Tensor:
        """Weighted mean of the losses of all labels: a scalar, 0 if there are none.

        Args:
            hidden: (B, D) or (B, T, D) from the body.
            batch: with the labels.
            generator: not used, nothing is random here.

        Raises:
            ValueError: if a weight is below 0.
        """
        numbers, labels, weights = self.answers(hidden, batch)
        each = self.losses(numbers, labels)
        if weights is None:
            return each.sum() / max(len(each), 1)
        if bool((weights < 0).any()):
            lowest = weights.min().item()
            raise ValueError(
                f"weight {self.weight!r} of {self.target!r} is {lowest:g}, expected 0 or more: mend the data"
            )
        return (each * weights).sum() / weights.sum().clamp(min=torch.finfo(each.dtype).tiny)

    def losses(self, numbers: Tensor, labels: Tensor) -> Tensor:
        """(N,) loss of each of (N,) numbers and labels."""
        raise NotImplementedError

    def link(self, numbers: Tensor) -> Tensor:
        """Predictions of the same shape as the numbers."""
        return numbers

    def columns(self, numbers: Tensor) -> dict[str, Tensor]:
        """Answers by the name of their column, each without the dimension of classes."""
        return {f"{self.target}_score": self.link(numbers)}

    def predictions(self, hidden: Tensor, batch: Batch) -> dict[str, Column]:
        """``<target>_score``: (B,), or a list for the positions of each row; the labels need not be there."""
        return {
            name: matrix if lengths is None else Ragged.from_padded(matrix, lengths)
            for name, (matrix, lengths) in self.matrices(hidden, batch).items()
        }

    def matrices(self, hidden: Tensor, batch: Batch) -> dict[str, tuple[Tensor, Tensor | None]]:
        """The predictions before lists are cut: (B,) or (B, T), and the (B,) lengths of lists."""
        plan = batch.plan
        lengths = None if plan is None else plan.lengths - max(plan.extend, 0)
        found: dict[str, tuple[Tensor, Tensor | None]] = {}
        for name, column in self.columns(self(hidden, batch)).items():
            own = None if lengths is None or column.dim() == 1 else lengths.clamp(max=column.shape[1])
            found[name] = column, own
        return found

    def judged(self, labels: Tensor) -> Tensor:
        """Labels as the metrics take them."""
        return labels.float()

    def make_metrics(self) -> MetricCollection:
        """Fresh metrics named ``<target>_<metric>``."""
        return MetricCollection(
            {f"{self.target}_{name}": self.metric(name) for name in self.metrics}, compute_groups=False
        )

    def metric(self, name: str) -> Metric:
        """A fresh metric by name."""
        raise NotImplementedError

    def update_metrics(
        self,
        metrics: MetricCollection,
        hidden: Tensor,
        batch: Batch,
        *,
        seen: Tensor | None = None,
        never: Sequence[int] = (),
    ) -> None:
        """Adds the predictions of a batch; weights are not used."""
        numbers, labels, _ = self.answers(hidden, batch)
        if len(labels):
            metrics.update(self.link(numbers.detach().float()), self.judged(labels))

    def init_arguments(self) -> dict[str, Any]:
        """What builds this output again."""
        names = ("target", "weight", "metrics", "summary", "project")
        return {name: getattr(self, name) for name in names}
