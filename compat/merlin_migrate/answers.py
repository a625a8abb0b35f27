"""What a legacy model answers to a batch, and whether the model that it became answers the same."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from merlin_migrate.checkpoint_merlin import is_buffer, is_merlin
from merlin_migrate.unpickle_model import answers_of, made_batch
from merlin_migrate.weights import GUIDE, CheckpointError, read_weights

if TYPE_CHECKING:
    import merlin_models_torch as mm

FILE = "answers.safetensors"
BEST = 10
LONGEST = 20


@dataclass(frozen=True)
class Answers:
    """A batch and what a legacy model answers to it.

    Args:
        columns: (B, T) zeros behind each session, or (B,), by name.
        scores: (B, V) of items, or (B,), by task; "" for a single one.
        by: who answered, for people.
    """

    columns: Mapping[str, Tensor]
    scores: Mapping[str, Tensor]
    by: str


@dataclass(frozen=True)
class Comparison:
    """How equal the answers are.

    Args:
        rows: sessions compared.
        difference: the largest one of the scores.
        same_best: rows with the same :data:`BEST` items in the same order; None where no items are answered.
        by: who gave the legacy answers.
    """

    rows: int
    difference: float
    same_best: int | None
    by: str


def read_answers(path: Path) -> Answers:
    """Answers that ``unpickle_model.py`` wrote in the old environment.

    Raises:
        CheckpointError: if the file holds none.
    """
    parts: dict[str, dict[str, Tensor]] = {"batch": {}, "answers": {}}
    for name, tensor in read_weights(path).items():
        kind, _, rest = name.partition("/")
        parts.setdefault(kind, {})[rest] = tensor
    if not parts["batch"] or not parts["answers"]:
        raise CheckpointError(
            f"{path} has no answers: let unpickle_model.py write it in the old environment, {GUIDE}"
        )
    return Answers(parts["batch"], parts["answers"], f"the old model, in {path}")


def batch_for(model: mm.Model, data: str | Path | None = None, *, rows: int = 16) -> dict[str, Tensor]:
    """Columns for a model: made up, or the first rows of some data.

    Args:
        model: the new one.
        data: parquet files; their longest sessions keep their oldest items, as in Transformers4Rec.
        rows: sessions.

    Raises:
        CheckpointError: if the data does not fit.
    """
    import merlin_models_torch as mm

    inputs = model.inputs
    longest = getattr(inputs, "pad_to", None) or getattr(inputs, "max_sequence_length", None) or LONGEST
    if data is None:
        facts = {}
        for column in model.schema:
            domain = column.int_domain
            largest = domain.max if domain is not None and mm.Tags.CATEGORICAL in column.tags else None
            facts[column.name] = {"largest": largest, "length": longest if column.is_list else None}
        return dict(made_batch(facts, rows))
    lists = any(column.is_list for column in model.schema)
    options: dict[str, Any] = {"max_sequence_length": longest, "keep": "oldest"} if lists else {}
    try:
        batch = next(iter(mm.ParquetLoader(data, model.schema, batch_size=rows, **options)))
    except (ValueError, OSError) as error:
        raise CheckpointError(str(error)) from error
    columns: dict[str, Any] = {
        name: batch.padded(name, longest) if model.schema[name].is_list else batch[name]
        for name in batch.features
    }
    return columns


def ask(model: Any, state: Mapping[str, Tensor], columns: Mapping[str, Tensor], by: str) -> Answers:
    """What a model of the drop-in answers with legacy weights.

    Args:
        model: a ``transformers4rec.torch.Model`` or a ``merlin.models.torch.Model``; gets the weights.
        state: the legacy weights.
        columns: see :class:`Answers`.
        by: who answers.

    Raises:
        CheckpointError: if the weights do not belong to the model.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if is_merlin(state):
            return Answers(columns, _ask_merlin(model, state, columns), by)
        try:
            missing, unexpected = model.load_state_dict(state, strict=False)
        except (RuntimeError, AttributeError, TypeError) as error:
            raise CheckpointError(f"the weights do not belong to the model of {by}: {error}") from error
        # A file of safetensors holds shared weights once.
        places = dict(model.state_dict(keep_vars=True))
        loaded = {id(places[name]) for name in state if name in places}
        lacking = [name for name in missing if id(places[name]) not in loaded]
        if lacking or unexpected:
            raise CheckpointError(
                f"the weights do not belong to the model of {by}: nothing for "
                f"{', '.join(lacking[:3]) or '-'}, no place for {', '.join(unexpected[:3]) or '-'}"
            )
        return Answers(columns, _scores(answers_of(model, columns)), by)


def _ask_merlin(model: Any, state: Mapping[str, Tensor], columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
    from merlin.models.torch.batch import Batch

    model.initialize(Batch(dict(columns)))
    own, given = (
        [tensor for name, tensor in of.items() if not is_buffer(name)]
        for of in (model.state_dict(keep_vars=True), state)
    )
    if [tensor.shape for tensor in own] != [tensor.shape for tensor in given]:
        raise CheckpointError("the weights have other shapes than those of the old program's model")
    with torch.no_grad():
        for place, tensor in zip(own, given, strict=True):
            place.copy_(tensor)
    return _scores(answers_of(model, columns))


def _scores(answered: Mapping[str, Tensor]) -> dict[str, Tensor]:
    parts = ((name.partition("/"), scores) for name, scores in answered.items())
    return {task: scores for (kind, _, task), scores in parts if kind == "answers"}


def compare(model: mm.Model, answers: Answers) -> Comparison:
    """Asks the new model the same.

    Scores may differ by rounding: by a hundred-thousandth of the largest and a thousandth of what they vary
    by from row to row.

    Args:
        model: with the weights.
        answers: of the legacy model.

    Raises:
        CheckpointError: if the answers differ.
    """
    import merlin_models_torch as mm
    from merlin_models_torch._modes import eval_mode
    from merlin_models_torch.outputs import ItemOutput

    answers = _without_lonely(answers, model)
    with eval_mode(model), torch.no_grad():
        step = mm.Step(model, _batch(answers.columns, model), "predict")
        if isinstance(model.output, ItemOutput):
            found = {"": step.scores}
        else:
            found = dict(model.output.predictions(step.hidden, step.planned))
            found = {name.removesuffix("_score"): scores for name, scores in found.items()}
    worst, same_best = 0.0, None
    for task, expected in answers.scores.items():
        scores = found.get(task.partition("/")[0], next(iter(found.values())) if len(found) == 1 else None)
        if scores is None:
            raise CheckpointError(f"{answers.by} answers {task!r}, the new model only {', '.join(found)}")
        worst = max(worst, _difference(scores, expected, answers))
        if isinstance(model.output, ItemOutput):
            best = (each.topk(min(BEST, each.shape[1])).indices for each in (scores, expected))
            same_best = int(torch.eq(*best).all(1).sum())
    rows = len(next(iter(answers.columns.values())))
    return Comparison(rows, worst, same_best, answers.by)


def _without_lonely(answers: Answers, model: mm.Model) -> Answers:
    """Leaves out sessions of one item where the only item is hidden.

    With masking "plm" nothing is left to be seen then, and the original took the mean of all positions.
    """
    import merlin_models_torch as mm

    masking = getattr(model.inputs, "masking", None)
    item_id = getattr(model.inputs, "item_id", None)
    if not isinstance(masking, mm.PermutedMasking) or not masking.predict_last or item_id is None:
        return answers
    several = (answers.columns[item_id] != 0).sum(1) > 1
    columns, scores = (
        {name: x[several] for name, x in of.items()} for of in (answers.columns, answers.scores)
    )
    return Answers(columns, scores, answers.by)


def _difference(scores: Tensor, expected: Tensor, answers: Answers) -> float:
    scores = scores.reshape(expected.shape) if scores.numel() == expected.numel() else scores
    if scores.shape != expected.shape:
        raise CheckpointError(
            f"the new model answers {tuple(scores.shape)}, {answers.by} {tuple(expected.shape)}: it was "
            "built with another schema"
        )
    difference = float((scores - expected).abs().max())
    spread = float(expected.float().std(0).mean()) if len(expected) > 1 else 0.0
    allowed = 1e-5 * float(expected.abs().max()) + 1e-3 * spread
    if not difference <= allowed:  # nan too
        raise CheckpointError(
            f"the new model answers otherwise than {answers.by}: scores differ by up to {difference:.2g}, "
            f"{allowed:.2g} would be rounding; convert into the program as merlin-migrate rewrite writes it, "
            f"and take legacy options out afterwards, {GUIDE}#when-answers-differ"
        )
    return difference


def _batch(columns: Mapping[str, Tensor], model: mm.Model) -> mm.Batch:
    """Columns as a loader gives them: lists without the zeros behind."""
    import merlin_models_torch as mm

    lists = [name for name in columns if name in model.schema.column_names and model.schema[name].is_list]
    item_id = model.schema.select_by_tag(mm.Tags.ITEM_ID).column_names
    by = next((name for name in lists if name in item_id), lists[0] if lists else None)
    features: dict[str, Any] = dict(columns)
    if by is not None:
        steps = torch.arange(1, columns[by].shape[1] + 1)
        lengths = (steps * (columns[by] != 0)).amax(1)
        inside = steps <= lengths[:, None]
        offsets = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
        features |= {name: mm.Ragged(columns[name][inside], offsets) for name in lists}
    return mm.Batch({name: features[name] for name in model.schema.column_names if name in features})
