"""A callback of Hugging Face as a ``lightning.Callback``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import libcst as cst

from merlin_migrate.codemod.trainers.events import EVENTS, HOOKS, Moved, moved_event
from merlin_migrate.codemod.trainers.logs import moved_log
from merlin_migrate.codemod.trainers.statements import Body, NotMoved, method, returned

OTHER_EVENTS = {
    "on_init_end": "is setup(self, trainer, model, stage) of a lightning.Callback",
    "on_save": "is on_save_checkpoint(self, trainer, model, checkpoint) of a lightning.Callback",
    "on_substep_end": "is on_train_batch_end of a lightning.Callback, which comes for each batch",
    "on_prediction_step": "is on_validation_batch_end of a lightning.Callback",
    "on_predict": "is on_predict_end of a lightning.Callback",
    "on_pre_optimizer_step": "is on_before_optimizer_step of a lightning.Callback",
    "on_optimizer_step": "is on_before_zero_grad of a lightning.Callback",
}
"""Events that have no hook of the same time and arguments."""


@dataclass
class MovedClass:
    """What becomes of a class.

    Args:
        methods: its members by the node that they stand for; several hooks may stand for one event.
        arguments: training arguments that it reads.
        differs: what is not the same as it was, by the member that says so.
        logs: whether it waits for ``logging_steps``.
        evaluates: whether it has something to do when a model is evaluated.
    """

    methods: dict[cst.CSTNode, list[cst.BaseStatement]] = field(default_factory=dict)
    arguments: set[str] = field(default_factory=set)
    differs: dict[cst.CSTNode, list[str]] = field(default_factory=dict)
    logs: bool = False
    evaluates: bool = False


def moved_callback(
    owner: cst.ClassDef, *, strategy: str | None, accumulates: bool, waiting: str = "waiting"
) -> tuple[MovedClass | None, dict[cst.CSTNode, str]]:
    """The members of a callback, as Lightning calls them.

    Args:
        owner: the class.
        strategy: "steps", "epoch" or "no": when the program logs; None where that cannot be told.
        accumulates: whether the program accumulates gradients, so that a step is several batches.
        waiting: attribute for the losses since the last entry.

    Returns:
        What becomes of the class, or None and why, by method.
    """
    events = [each for each in owner.body.body if isinstance(each, cst.FunctionDef)]
    moved = {}
    reasons: dict[cst.CSTNode, str] = {}
    for event in events:
        try:
            made = _moved(event, strategy=strategy, accumulates=accumulates, waiting=waiting)
        except NotMoved as error:
            reasons[event] = str(error)
        else:
            if made is not None:
                moved[event] = made
    if reasons:
        return None, reasons
    try:
        return _joined(moved), {}
    except NotMoved as error:
        return None, {owner: str(error)}


def _moved(event: cst.FunctionDef, *, strategy: str | None, accumulates: bool, waiting: str) -> Moved | None:
    name = event.name.value
    if name in OTHER_EVENTS:
        raise NotMoved(f"{name} {OTHER_EVENTS[name]}")
    if name not in EVENTS and name != "on_log":
        return None
    if event.decorators or event.asynchronous is not None:
        raise NotMoved(f"{name} is decorated")
    if accumulates and name in ("on_step_begin", "on_step_end", "on_log"):
        raise NotMoved(
            f"{name} comes for each step, Lightning's hooks for each batch that gradients add up of"
        )
    if name != "on_log":
        return moved_event(event)
    if strategy is None:
        raise NotMoved("on_log depends on logging_strategy and logging_first_step, which cannot be told here")
    return moved_log(event, strategy, waiting)


def _joined(moved: Mapping[cst.FunctionDef, Moved]) -> MovedClass:
    """Bodies for the same hook one after the other: steps end before they are logged, evaluation after."""
    made = MovedClass()
    hooks: dict[str, list[tuple[cst.FunctionDef, Body]]] = {}
    for event, one in moved.items():
        made.arguments |= one.arguments
        made.logs |= one.logs
        made.methods[event] = []
        if one.differs:
            made.differs[event] = one.differs
        for hook, body in one.bodies.items():
            hooks.setdefault(hook, []).append((event, body))
    made.evaluates = "on_validation_end" in hooks
    for hook, parts in hooks.items():
        logged_last = hook != "on_validation_end"
        parts.sort(key=lambda part: (part[0].name.value == "on_log") is logged_last)
        if any(returned(body) for _, body in parts[:-1]):
            raise NotMoved(f"several events become {hook}, and one of them returns early")
        first = min((event for event, _ in parts), key=list(moved).index)
        whole = [line for _, body in parts for line in body]
        # The comments and the docstring of an event stand at the first hook that it has become.
        like = None if made.methods[first] else first
        made.methods[first].append(method(f"{hook}({HOOKS[hook]})", whole, like))
    return made
