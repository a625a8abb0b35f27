"""``create_optimizer`` and ``create_scheduler`` of a trainer, as methods of a model."""

from __future__ import annotations

from collections.abc import Collection

import libcst as cst

from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.trainers.of_self import as_model, is_super
from merlin_migrate.codemod.trainers.statements import (
    Body,
    NotMoved,
    all_replaced,
    body_of,
    method,
    names_in,
    returned,
    settled,
    statement,
)
from merlin_migrate.codemod.tree import walk


def moved_optimizer(old: cst.FunctionDef, own: Collection[str]) -> tuple[cst.FunctionDef, bool]:
    """``create_optimizer``, which returns the optimiser of the model that it is now a method of.

    Returns:
        The method; whether it makes the optimiser once only, for all trainings.

    Raises:
        NotMoved: if it does anything else, or tells parameters by names that have changed.
    """
    lines = body_of(old)
    once = any("self.optimizer is None" in code(line) for line in lines)
    model = old.params.params[1].name.value if len(old.params.params) > 1 else ""
    body = _made(
        old, lines, "optimizer", {"self.optimizer is None": True, "self.optimizer is not None": False}
    )
    return method("create_optimizer(self)", as_model(old, body, own, model), old), once


def moved_scheduler(old: cst.FunctionDef, own: Collection[str]) -> cst.FunctionDef:
    """``create_scheduler``, which returns the schedule of an optimiser.

    Raises:
        NotMoved: if it does anything else.
    """
    params = [each.name.value for each in old.params.params]
    if len(params) < 2 or old.decorators:
        raise NotMoved("create_scheduler takes other arguments than self, num_training_steps, optimizer")
    steps, given = params[1], params[2] if len(params) > 2 else "optimizer"
    told = {
        "self.lr_scheduler is None": True,
        "self.lr_scheduler is not None": False,
        f"{given} is None": False,
        f"{given} is not None": True,
    }
    body = _made(old, body_of(old), "lr_scheduler", told)
    body = all_replaced(body, {"self.optimizer": "optimizer", given: "optimizer"})
    if any(name.value == steps for name in names_in(body)):
        body = [statement(f"{steps} = int(self.trainer.estimated_stepping_batches)"), *body]
    return method("create_scheduler(self, optimizer)", as_model(old, body, own), old)


def _made(old: cst.FunctionDef, lines: Body, attribute: str, told: dict[str, bool]) -> Body:
    """Statements that make something and return it, instead of keeping it in an attribute."""
    if any(is_super(node, old.name.value) for line in lines for node in walk(line)):
        raise NotMoved(f"{old.name.value} changes what the trainer's own makes")
    lines = all_replaced(settled(lines, told.get), {f"self.{attribute}": attribute})
    last = lines[-1] if lines else None
    small = last.body[-1] if isinstance(last, cst.SimpleStatementLine) else None
    if not isinstance(small, cst.Return):
        lines = [*lines, statement(f"return {attribute}")]
    elif small.value is None:
        raise NotMoved(f"{old.name.value} returns nothing")
    if len(returned(lines)) != 1:
        raise NotMoved(f"{old.name.value} returns in more than one place")
    return _short(lines, attribute)


def _short(lines: Body, attribute: str) -> Body:
    """``x = y`` and ``return x`` is ``return y``."""
    if len(lines) < 2 or code(lines[-1]).strip() != f"return {attribute}":
        return lines
    before = lines[-2]
    small = before.body[0] if isinstance(before, cst.SimpleStatementLine) and len(before.body) == 1 else None
    if isinstance(small, cst.Assign) and [code(t.target) for t in small.targets] == [attribute]:
        return [*lines[:-2], before.with_changes(body=[cst.Return(small.value)])]
    return lines
