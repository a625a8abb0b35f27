"""One pass over data: what every output of a model is measured by, and some rows to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from merlin_models_torch.batch import Batch
from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.data.table import TensorTable
from merlin_models_torch.outputs import (
    BinaryOutput,
    CategoricalOutput,
    RegressionOutput,
    TabularOutputBlock,
    TwoTowerOutput,
)
from merlin_models_torch.outputs.seen import seen_items
from merlin_models_torch.outputs.target import TargetOutput
from merlin_models_torch.reporting.clicks import ClickFigures, ClickMeasure
from merlin_models_torch.reporting.groups import Popularity
from merlin_models_torch.reporting.measure import ItemFigures, ItemMeasure, cut_offs
from merlin_models_torch.reporting.numbers import NumberFigures, NumberMeasure
from merlin_models_torch.retrieval.candidates import Candidates, tower
from merlin_models_torch.retrieval.index import ItemIndex
from merlin_models_torch.retrieval.inference import evaluating

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

Figures = ItemFigures | ClickFigures | NumberFigures
_LEAST = 3


@dataclass
class Seen:
    """What a pass over data found.

    Args:
        rows: how many there were.
        figures: by output; the only output of a model has its target's name, or "next_item".
        shown: some rows, one a batch, with enough items to be looked at.
        unmeasured: outputs that no measure fits, or that had no label.
    """

    rows: int = 0
    figures: dict[str, Figures] = field(default_factory=dict)
    shown: list[Batch] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)


def outputs_of(model: Model) -> dict[str, Any]:
    """The outputs of a model by the name of their target."""
    output = model.output
    if isinstance(output, TabularOutputBlock):
        return dict(output.outputs.items())
    return {str(getattr(output, "target", None) or "next_item"): output}


def sequence_of(model: Model) -> str | None:
    """The list column that is as long as a session; None for a model without sequences."""
    inputs = model.inputs
    if inputs.item_id in inputs.sequences:
        return str(inputs.item_id)
    return next(iter(inputs.sequences), None)


def walk(
    model: Model,
    loader: ParquetLoader,
    *,
    popularity: Mapping[str, Popularity],
    candidates: Candidates | None = None,
    top_ks: Sequence[int] | None = None,
    examples: int = 0,
) -> Seen:
    """Measures a model on all rows, batch by batch.

    Args:
        model: any.
        loader: of the rows, with their labels.
        popularity: of the items of outputs, by their names.
        candidates: of two towers.
        top_ks: cut-offs; 1, 5, 10 and 20 if not given.
        examples: rows to keep, spread over the data.
    """
    found, picker = Seen(), _Picker(loader.num_rows, examples, sequence_of(model))
    parts = {}
    for name, output in outputs_of(model).items():
        measure = _measure_of(model, output, popularity.get(name), candidates, top_ks)
        if measure is None:
            found.unmeasured.append(name)
        else:
            parts[name] = measure
    for batch in loader:
        if batch.filler:
            continue
        found.rows += len(batch)
        found.shown += picker.picked(batch)
        with evaluating(model):
            own = batch.to(model.device)
            planned = model.for_evaluation(own)
            hidden = model.body(planned)
            for name, part in parts.items():
                split = isinstance(model.output, TabularOutputBlock) and not isinstance(hidden, Tensor)
                part.update(hidden[name] if split else hidden, own, planned)
    for name, part in parts.items():
        figures = part.compute()
        if figures is None:
            found.unmeasured.append(name)
        else:
            found.figures[name] = figures
    return found


@dataclass(frozen=True)
class _Part:
    update: Callable[[Any, Batch, Batch], None]
    compute: Callable[[], Figures | None]


def _measure_of(
    model: Model,
    output: Any,
    popularity: Popularity | None,
    candidates: Candidates | None,
    top_ks: Sequence[int] | None,
) -> _Part | None:
    if isinstance(output, CategoricalOutput):
        return _of_catalogue(model, output, popularity, top_ks)
    if isinstance(output, TwoTowerOutput) and candidates is not None:
        return _of_towers(model, output, candidates, popularity, top_ks)
    if isinstance(output, BinaryOutput):
        clicks = ClickMeasure(output)
        return _Part(lambda hidden, _, planned: clicks.update(hidden, planned), clicks.compute)
    if isinstance(output, TargetOutput):
        numbers = NumberMeasure(output, pairs=isinstance(output, RegressionOutput))
        return _Part(lambda hidden, _, planned: numbers.update(hidden, planned), numbers.compute)
    return None


def _of_catalogue(
    model: Model, output: CategoricalOutput, popularity: Popularity | None, top_ks: Sequence[int] | None
) -> _Part:
    never = sorted({*output.exclude, *model.never_of(output)})
    ks = cut_offs(top_ks, output.cardinality - len(never))
    measure = ItemMeasure(output.cardinality, ks, never=never, popularity=popularity)
    sequence = sequence_of(model)

    def update(hidden: Tensor, batch: Batch, planned: Batch) -> None:
        if not output.count(planned):
            return
        seen = None
        if output.exclude_seen and planned.plan is not None and model.inputs.item_id is not None:
            seen = seen_items(batch, planned, model.inputs.item_id)
        answers, targets, rows = output.judged(hidden, planned, k=max(ks), seen=seen, never=never)
        lengths = None
        if sequence is not None:
            # Of what is to be predicted, the last item of a session is not shown.
            lengths = batch.lengths(sequence)[rows] - int(output.needs_plan)
        measure.update(answers, targets, lengths)

    return _Part(update, lambda: measure.compute() if measure.count else None)


def _of_towers(
    model: Model,
    output: TwoTowerOutput,
    candidates: Candidates,
    popularity: Popularity | None,
    top_ks: Sequence[int] | None,
) -> _Part:
    ks = cut_offs(top_ks, len(candidates))
    others = torch.ones(output.size, dtype=torch.bool)
    others[candidates.ids.cpu()] = False
    never = others.nonzero()[:, 0].tolist()
    measure = ItemMeasure(output.size, ks, never=never, popularity=popularity)
    index = ItemIndex(candidates.vectors, temperature=output.temperature)
    queries = tower(model, output.query)
    sequence = next(iter(model.inputs.sequences), None)

    def update(hidden: Any, batch: Batch, planned: Batch) -> None:
        answers = candidates.best(index, output.scaled(queries(batch)), k=max(ks))[1]
        lengths = batch.lengths(sequence) if sequence is not None else None
        measure.update(answers, output.targets(batch), lengths)

    return _Part(update, lambda: measure.compute() if measure.count else None)


class _Picker:
    """Chooses rows that are spread over the data and, of sessions, have some items."""

    def __init__(self, rows: int, count: int, sequence: str | None) -> None:
        self._wanted = [number * rows // max(count, 1) for number in range(min(count, rows))]
        self._sequence = sequence

    def picked(self, batch: Batch) -> list[Batch]:
        found: list[Batch] = []
        if batch.rows is None:
            return found
        while self._wanted:
            fits = batch.rows >= self._wanted[0]
            if self._sequence is not None:
                fits &= batch.lengths(self._sequence) >= _LEAST
            places = fits.nonzero()[:, 0]
            if not len(places):
                break
            row = int(batch.rows[places[0]])
            self._wanted = [max(wanted, row + 1) for wanted in self._wanted[1:]]
            everything = {**batch.features, **batch.targets}
            one = TensorTable(everything, batch.rows).take(places[:1])
            features = {name: one[name] for name in batch.features}
            targets = {name: one[name] for name in batch.targets}
            found.append(Batch(features, targets, rows=batch.rows[places[:1]]))
        return found
