"""Several targets in one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection

from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.metrics import JointMetrics
from merlin_models_torch.outputs.answered import check_answered
from merlin_models_torch.outputs.base import Never, Widths
from merlin_models_torch.outputs.binary import BinaryOutput
from merlin_models_torch.outputs.categorical import CategoricalOutput
from merlin_models_torch.outputs.classification import ClassificationOutput
from merlin_models_torch.outputs.growth import Start
from merlin_models_torch.outputs.regression import RegressionOutput
from merlin_models_torch.outputs.target import TargetOutput
from merlin_models_torch.schema import ColumnSchema, Schema, Tags
from merlin_models_torch.serialize import serializable

_BINARY = (Tags.BINARY, Tags.BINARY_CLASSIFICATION)
_CLASSES = (Tags.MULTI_CLASS, Tags.MULTI_CLASS_CLASSIFICATION)


@serializable
class TabularOutputBlock(nn.Module):
    """An output for each of several targets; the loss is the weighted sum (or mean) of theirs.

    A body that gives one tensor serves all of them; of one that gives several by name (``MMOEBlock``, or a
    ``ParallelBlock`` of towers) each output takes the one named as its target.

    The next item may be among the targets, under the name "next_item": then the masking hides items in
    training and evaluation as it does for a :class:`CategoricalOutput` alone, and the other outputs answer
    from what is visible, so that evaluation still equals prediction on sessions without their last items.

    Metrics keep their names (``val_click_auc``, ``val_recall_at_10``), and each output's loss is logged as
    well (``val_click_loss``). ``Model.predict`` gives a column for each target; for items the list of as many
    as the largest cut-off, and their scores.

    Args:
        outputs: a schema, of which columns tagged BINARY or BINARY_CLASSIFICATION get a
            :class:`BinaryOutput`, MULTI_CLASS or MULTI_CLASS_CLASSIFICATION a :class:`ClassificationOutput`,
            REGRESSION a :class:`RegressionOutput` (and other columns none); or outputs of your own.
        loss_weights: by target; 1 where a name is missing.
        reduction: "sum" of the weighted losses, or "mean": their sum over the number of targets, which keeps
            the learning rate's meaning when targets are added.
        weight: column of sample weights of all outputs made from a schema.

    Raises:
        ValueError: if there is no target, two outputs have the same one, a loss weight is of none or
            negative, or items are to be left out that were seen.
        TypeError: if an output is not one for a target or for items.

    Example:
        >>> block = TabularOutputBlock([BinaryOutput("click"), RegressionOutput("rating")])
        >>> list(block.outputs)
        ['click', 'rating']
    """

    def __init__(
        self,
        outputs: Schema | Iterable[TargetOutput | CategoricalOutput],
        *,
        loss_weights: Mapping[str, float] | None = None,
        reduction: Literal["sum", "mean"] = "sum",
        weight: str | None = None,
    ) -> None:
        super().__init__()
        if reduction not in ("sum", "mean"):
            raise ValueError(f"reduction is {reduction!r}, expected 'sum' or 'mean'")
        self.reduction: Literal["sum", "mean"] = reduction
        made: list[TargetOutput | CategoricalOutput]
        if isinstance(outputs, Schema):
            made = [*_from_schema(outputs, weight)]
        elif weight is not None:
            raise ValueError(
                f"weight {weight!r} is for outputs made from a schema: give it to each output of your own"
            )
        else:
            made = list(outputs)
        if not made:
            raise ValueError("there is no output: give at least one")
        self.outputs = nn.ModuleDict()
        for output in made:
            name = _name(output)
            if name in self.outputs:
                raise ValueError(f"two outputs have the target {name!r}: give one for each")
            self.outputs[name] = output
        self.needs_plan = any(output.needs_plan for output in made)
        self.loss_weights = dict.fromkeys(self.outputs, 1.0) | dict(loss_weights or {})
        for name, value in self.loss_weights.items():
            if name not in self.outputs:
                raise ValueError(f"loss_weights has {name!r}, but the targets are {list(self.outputs)}")
            if value < 0:
                raise ValueError(f"the loss weight of {name!r} is {value}, expected 0 or more")

    def build(self, inputs: Any, width: Widths) -> None:
        """Makes the weights of each output.

        Args:
            inputs: the model's input block.
            width: of the body's output, or widths by target.

        Raises:
            ValueError: if the body gives several outputs and none for one of the targets.
        """
        for name, output in self._each():
            if not isinstance(width, int) and name not in width:
                raise ValueError(
                    f"the body gives {', '.join(width)}, but none for target {name!r}: "
                    "name them as the targets"
                )
            output.build(inputs, width if isinstance(width, int) else width[name])

    def _each(self) -> Iterable[tuple[str, TargetOutput | CategoricalOutput]]:
        return self.outputs.items()  # type: ignore[return-value]

    @property
    def items(self) -> dict[str, CategoricalOutput]:
        """The outputs that name items."""
        return {name: output for name, output in self._each() if isinstance(output, CategoricalOutput)}

    @property
    def item_columns(self) -> dict[str, str | None]:
        """Columns of :meth:`predictions` that hold items, each with the domain of its ids."""
        return {f"{output.item_id}": output.domain for output in self.items.values()}

    def grow(
        self,
        inputs: Any,
        columns: Schema,
        *,
        start: Start = "random",
        generator: torch.Generator | None = None,
    ) -> None:
        """Rows for new items in the outputs that name items: see :meth:`CategoricalOutput.grow`."""
        for output in self.items.values():
            output.grow(inputs, columns, start=start, generator=generator)

    def forward(self, hidden: Tensor | Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """What each output's ``forward`` gives, by target.

        Args:
            hidden: (B, D) or (B, T, D) for all, or by target.
            batch: with the plan of the sequences, if there are some.
        """
        return {name: output(_own(hidden, name), batch) for name, output in self._each()}

    def losses(
        self,
        hidden: Tensor | Mapping[str, Tensor],
        batch: Batch,
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """The loss of each output, a scalar, without its weight."""
        return {
            name: output.loss(_own(hidden, name), batch, generator=generator) for name, output in self._each()
        }

    def loss(
        self,
        hidden: Tensor | Mapping[str, Tensor],
        batch: Batch,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Weighted sum or mean of the losses, a scalar; ``generator`` draws negatives if there are any."""
        losses = self.losses(hidden, batch, generator=generator)
        weighted = torch.stack([self.loss_weights[name] * loss for name, loss in losses.items()])
        return weighted.sum() if self.reduction == "sum" else weighted.mean()

    def count(self, batch: Batch) -> int:
        """Labels of the target that has most of them."""
        return max(output.count(batch) for _, output in self._each())

    def predictions(
        self,
        hidden: Tensor | Mapping[str, Tensor],
        batch: Batch,
        *,
        k: int | None = None,
        seen: Tensor | None = None,
        never: Never = (),
    ) -> dict[str, Column]:
        """The columns of all outputs; of items, rows of the catalogue and ``<item id>_score``, best first.

        Args:
            hidden: (B, D) or (B, T, D) for all, or by target.
            batch: with the plan of the sequences, if there are some.
            k: items to answer with; each output's largest cut-off if not given.
            seen: (B, E) item rows that are not answers to each row, -1 where none; for outputs that name
                items of the input's domain.
            never: item rows that are no answers, besides each output's ``exclude``; by target, where their
                items are not of one domain.

        Raises:
            ValueError: if a session has no items and the masking no place to answer it from.
        """
        columns: dict[str, Column] = {}
        for name, output in self._each():
            own = _own(hidden, name)
            if isinstance(output, CategoricalOutput):
                scores, items = output.topk(
                    own,
                    batch,
                    k=k or max(output.top_ks),
                    seen=seen if output.answers_inputs else None,
                    never=_rows_of(name, never),
                )
                check_answered(items, batch)
                counts = torch.full_like(items[:, 0], items.shape[1])
                columns[f"{output.item_id}"] = Ragged.from_padded(items, counts)
                columns[f"{output.item_id}_score"] = Ragged.from_padded(scores, counts)
            else:
                columns.update(output.predictions(own, batch))
        return columns

    def make_metrics(self) -> JointMetrics:
        """Fresh metrics of all outputs, and the mean of each one's loss."""
        losses = MetricCollection(
            {f"{name}_loss": MeanMetric() for name in self.outputs}, compute_groups=False
        )
        return JointMetrics({**{n: o.make_metrics() for n, o in self._each()}, "losses of all": losses})

    def update_metrics(
        self,
        metrics: JointMetrics,
        hidden: Tensor | Mapping[str, Tensor],
        batch: Batch,
        *,
        seen: Tensor | None = None,
        never: Never = (),
    ) -> None:
        """Adds the predictions of a batch to the metrics of each output."""
        losses: Any = metrics.parts["losses of all"]
        for name, output in self._each():
            own, part = _own(hidden, name), cast(Any, metrics.parts[name])
            if not output.count(batch):
                continue
            output.update_metrics(part, own, batch, seen=seen, never=_rows_of(name, never))
            losses[f"{name}_loss"].update(output.loss(own, batch).detach(), output.count(batch))

    def init_arguments(self) -> dict[str, Any]:
        """What builds this block again."""
        return {
            "outputs": list(self.outputs.values()),
            "loss_weights": self.loss_weights,
            "reduction": self.reduction,
        }


def _name(output: object) -> str:
    """The target's name."""
    if isinstance(output, TargetOutput):
        return output.target
    if not isinstance(output, CategoricalOutput):
        raise TypeError(
            f"{type(output).__name__} has no column of labels: give BinaryOutput, ClassificationOutput, "
            "RegressionOutput or CategoricalOutput"
        )
    if output.exclude_seen:
        raise ValueError(
            "exclude_seen is for a CategoricalOutput that is a model's only output: leave it out, or leave "
            "out what was seen from the answers"
        )
    return output.target or "next_item"


def _rows_of(name: str, never: Never) -> Sequence[int]:
    return never.get(name, ()) if isinstance(never, Mapping) else never


def _own(hidden: Tensor | Mapping[str, Tensor], name: str) -> Tensor:
    return hidden if isinstance(hidden, Tensor) else hidden[name]


def _from_schema(schema: Schema, weight: str | None) -> list[TargetOutput]:
    made: list[TargetOutput] = []
    for column in schema:
        output = _of_column(column, weight)
        if output is not None:
            made.append(output)
    if not made:
        raise ValueError(
            f"no column of {schema.column_names} is a target: tag them with Tags.BINARY_CLASSIFICATION, "
            "Tags.MULTI_CLASS_CLASSIFICATION or Tags.REGRESSION"
        )
    return made


def _of_column(column: ColumnSchema, weight: str | None) -> TargetOutput | None:
    if any(tag in column.tags for tag in _BINARY):
        return BinaryOutput(column, weight=weight)
    if any(tag in column.tags for tag in _CLASSES):
        return ClassificationOutput(column, weight=weight)
    if Tags.REGRESSION in column.tags:
        return RegressionOutput(column, weight=weight)
    return None
