"""One method of a ``TrainerCallback`` as a hook of ``lightning.Callback``."""

from __future__ import annotations

from dataclasses import dataclass, field

import libcst as cst

from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.trainers.statements import (
    Body,
    NotMoved,
    all_replaced,
    attributes_of,
    body_of,
    names_in,
    settled,
    statement,
)
from merlin_migrate.codemod.tree import walk

HOOKS = {
    "on_train_start": "self, trainer, model",
    "on_train_end": "self, trainer, model",
    "on_train_epoch_start": "self, trainer, model",
    "on_train_epoch_end": "self, trainer, model",
    "on_train_batch_start": "self, trainer, model, batch, batch_idx",
    "on_train_batch_end": "self, trainer, model, outputs, batch, batch_idx",
    "on_validation_end": "self, trainer, model",
}
"""Hooks of Lightning, and their parameters."""
EVENTS = {
    "on_train_begin": "on_train_start",
    "on_train_end": "on_train_end",
    "on_epoch_begin": "on_train_epoch_start",
    "on_epoch_end": "on_train_epoch_end",
    "on_step_begin": "on_train_batch_start",
    "on_step_end": "on_train_batch_end",
    "on_evaluate": "on_validation_end",
}
"""Events of Hugging Face that have a hook of the same time."""
STATE = {
    "global_step": "trainer.global_step",
    # Hugging Face counts epochs in parts: steps by the steps of an epoch.
    "epoch": "trainer.global_step / trainer.num_training_batches",
    "max_steps": "trainer.estimated_stepping_batches",
    "num_train_epochs": "trainer.max_epochs",
    "is_world_process_zero": "trainer.is_global_zero",
    "is_local_process_zero": "trainer.is_global_zero",
}
GIVEN = {
    "model": "model",
    "optimizer": "trainer.optimizers[0]",
    "lr_scheduler": "trainer.lr_scheduler_configs[0].scheduler",
    "train_dataloader": "trainer.train_dataloader",
    "metrics": "metrics",
    "logs": "logs",
}
"""What events tell by keyword."""
OF_MODELS = frozenset(
    {
        *("parameters", "named_parameters", "modules", "named_modules", "buffers", "state_dict", "train"),
        *("eval", "training", "requires_grad_", "zero_grad", "device", "apply", "to"),
    }
)
"""What old and new models share."""
MEASURED = "{k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith('val_')}"


@dataclass
class Moved:
    """What became of one event.

    Args:
        bodies: statements by hook.
        arguments: training arguments that they read.
        differs: what is not the same as it was; told of by a mark.
        logs: whether it waits for ``logging_steps``.
    """

    bodies: dict[str, Body] = field(default_factory=dict)
    arguments: set[str] = field(default_factory=set)
    differs: list[str] = field(default_factory=list)
    logs: bool = False


def moved_event(method: cst.FunctionDef) -> Moved:
    """An event that has a hook of the same time.

    Raises:
        NotMoved: if it uses what Lightning does not tell there.
    """
    hook = EVENTS[method.name.value]
    moved = Moved()
    lines = translated(method, hook, body_of(method), moved)
    if any(name.value == "metrics" for name in names_in(lines)):
        lines = [measured("metrics"), *lines]
    moved.bodies[hook] = lines
    return moved


def measured(name: str, owner: str = "trainer") -> cst.BaseStatement:
    """``name = {...}``, the figures of the evaluation."""
    return statement(f"{name} = {MEASURED}".replace("'", '"').replace("trainer.", f"{owner}."))


def translated(method: cst.FunctionDef, hook: str, body: Body, moved: Moved) -> Body:
    """Statements of an event with Lightning's names for what it was told.

    Args:
        method: the event.
        hook: where they are to stand.
        body: its statements.
        moved: takes the training arguments that they read.

    Raises:
        NotMoved: if they use what Lightning does not tell there.
    """
    params = method.params
    positional = [each.name.value for each in (*params.posonly_params, *params.params)]
    if len(positional) < 4 or isinstance(params.star_arg, cst.Param):
        raise NotMoved(f"{method.name.value} takes other arguments than self, args, state, control")
    _, args, state, control = positional[:4]
    keywords = [*positional[4:], *(each.name.value for each in params.kwonly_params)]
    rest = params.star_kwarg.name.value if params.star_kwarg is not None else ""
    new: dict[str, str] = {f"{control}.should_training_stop": "trainer.should_stop"}
    new |= {f"{state}.{name}": text for name, text in STATE.items()}
    for name, text in GIVEN.items():
        if name in keywords and name != text:
            new[name] = text
        if rest:
            new |= {f'{rest}["{name}"]': text, f'{rest}.get("{name}")': text, f"{rest}['{name}']": text}
    fields = set(attributes_of(body, args))
    new |= {f"{args}.{name}": f"model.args.{name}" for name in fields}
    _refuse_shadows(method, hook, body, {args, state, control, rest, *keywords})
    given = {f"{name} is not None" for name in (*GIVEN, control, state, args)}
    lines = settled(body, lambda text: True if text in given else None)
    lines = _answers(all_replaced(lines, new), control)
    _refuse_rest(method, lines, {args, state, control, rest, *(set(keywords) - set(GIVEN))})
    moved.arguments |= fields
    return lines


def _answers(lines: Body, control: str) -> Body:
    """``return control`` is ``return``, and at the end nothing."""
    made = [line.visit(_Returns(control)) for line in lines]
    kept = [line for line in made if isinstance(line, cst.BaseStatement)]
    if kept and code(kept[-1]).strip() == "return":
        kept.pop()
    return kept


class _Returns(cst.CSTTransformer):
    """Takes the value out of ``return control``."""

    def __init__(self, control: str) -> None:
        super().__init__()
        self.control = control

    def leave_Return(self, original_node: cst.Return, updated_node: cst.Return) -> cst.Return:
        value = updated_node.value
        return cst.Return() if isinstance(value, cst.Name) and value.value == self.control else updated_node


def _refuse_shadows(method: cst.FunctionDef, hook: str, body: Body, legacy: set[str]) -> None:
    given = {name.strip() for name in HOOKS[hook].split(",")} - {"self"} - legacy
    used = {name.value for name in names_in(body)}
    if both := sorted(given & used):
        raise NotMoved(f"{method.name.value} has a variable {both[0]}, which {hook} is given")


def _refuse_rest(method: cst.FunctionDef, lines: Body, forbidden: set[str]) -> None:
    """Refuses what is left of the old arguments."""
    what = method.name.value
    for line in lines:
        for node in walk(line):
            if isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name):
                if node.value.value in forbidden:
                    raise NotMoved(f"{what} uses {code(node)}, which Lightning does not have there")
                if node.value.value == "model" and node.attr.value not in {*OF_MODELS, "args"}:
                    raise NotMoved(f"{what} uses {code(node)}, which the new model may not have")
    for name in names_in(lines):
        if name.value in forbidden and name.value:
            raise NotMoved(f"{what} uses {name.value} as a whole, which Lightning does not have there")
