"""A saved model with legacy weights, checked by what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from merlin_migrate.answers import FILE, Answers, Comparison, ask, batch_for, compare, read_answers
from merlin_migrate.checkpoint import convert_state
from merlin_migrate.weights import GUIDE, CheckpointError, read_weights

if TYPE_CHECKING:
    import merlin_models_torch as mm
    from merlin_migrate.codemod import Result


@dataclass(frozen=True)
class Source:
    """Where the new model, and what the old one answers, come from.

    Args:
        model: folder that the new model's ``save`` wrote; or a program that builds it, an old one, which is
            rewritten in memory, or a rewritten one.
        old: the old program, where ``model`` is not it.
        answers: file of the old model's answers; one beside the weights is found by itself.
        data: rows to ask for; made up if not given.
        arguments: of the programs' command line.
    """

    model: Path
    old: Path | None = None
    answers: Path | None = None
    data: Path | None = None
    arguments: Sequence[str] = ()


def convert(weights: Path, source: Source, output: Path) -> tuple[int, Comparison | None]:
    """Writes a saved model with legacy weights.

    Args:
        weights: the legacy weights, see :func:`merlin_migrate.weights.read_weights`.
        source: of the new model and of the old one's answers.
        output: folder to write; must not hold anything.

    Returns:
        The number of tensors, and how equal the answers are; None where there are none to compare with.

    Raises:
        CheckpointError: if anything does not fit, or answers differ; nothing is written then.
    """
    import merlin_models_torch as mm

    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise CheckpointError(f"{output} exists and is not an empty folder: give a new one")
    state = read_weights(weights)
    new, old = _models(source)
    converted = convert_state(state, new)
    new.load_state_dict(converted, strict=False)
    answers = _answers(weights, source, new, old, state)
    compared = None if answers is None else compare(new, answers)
    if output.exists():
        output.rmdir()
    try:
        new.save(output)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{error}; load the weights within the program instead, {GUIDE}") from error
    if answers is not None:
        compare(mm.load(output), answers)
    return len(converted), compared


def _models(source: Source) -> tuple[mm.Model, Any]:
    """The new model, and the old one where a program of it is known."""
    import merlin_models_torch as mm
    from merlin_migrate.running import model_of

    new: Any
    old = None
    if source.model.suffix != ".py":
        try:
            new = mm.load(source.model)
        except ValueError as error:
            raise CheckpointError(str(error)) from error
        marks = 0
    else:
        text = _text(source.model)
        rewritten = _rewritten(source.model, text)
        marks = len(rewritten.marks)
        if rewritten.changed:
            old = model_of(text, source.model, source.arguments)
        try:
            new = model_of(rewritten.after, source.model, source.arguments)
        except CheckpointError as error:
            # Marked places may be in the training alone, which is not run.
            raise (CheckpointError(f"{_by_hand(source, marks)} ({error})") if marks else error) from None
    if source.old is not None:
        old = model_of(_text(source.old), source.old, source.arguments)
    if not isinstance(new, mm.Model):
        if marks:
            raise CheckpointError(_by_hand(source, marks))
        raise CheckpointError(
            f"{source.model} builds a {type(new).__module__}.{type(new).__name__}, expected a model of the "
            "new API: rewrite the program first"
        )
    return new, old


def _by_hand(source: Source, marks: int) -> str:
    return (
        f"{source.model} has {marks} places that need a hand: rewrite it, mend them, and give the result "
        f"here and {source.model} as it is now by --old"
    )


def _text(program: Path) -> bytes:
    try:
        return program.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{program} cannot be read: {error.strerror}") from error


def _rewritten(program: Path, text: bytes) -> Result:
    from merlin_migrate.codemod import rewrite_source

    try:
        return rewrite_source(text)
    except ValueError as error:
        raise CheckpointError(f"{program} cannot be rewritten: {error}") from error


def _answers(weights: Path, source: Source, new: mm.Model, old: Any, state: Any) -> Answers | None:
    beside = (weights if weights.is_dir() else weights.parent) / FILE
    # Of the real thing, where there are any; the drop-in only does the same.
    if source.answers is not None or beside.is_file():
        return read_answers(source.answers or beside)
    if old is None:
        return None
    return ask(old, state, batch_for(new, source.data), f"{source.old or source.model} on the drop-in")
