"""``compute_loss`` and ``training_step`` of a trainer, as hooks of a model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import libcst as cst

from merlin_migrate.codemod.layout import bind, code
from merlin_migrate.codemod.trainers.of_self import as_model, is_super
from merlin_migrate.codemod.trainers.statements import (
    Body,
    NotMoved,
    all_replaced,
    body_of,
    method,
    names_in,
    replaced,
    returned,
    settled,
    statement,
)
from merlin_migrate.codemod.tree import walk

PARTS = {"loss": "loss", "predictions": "scores", "labels": "targets"}


def parameters(of: cst.FunctionDef, *names: str) -> list[str]:
    """The names that a method gives its first parameters.

    Args:
        of: the method.
        names: how they are called in the old trainer, after ``self``.

    Raises:
        NotMoved: if it takes less.
    """
    found = [each.name.value for each in of.params.params]
    if len(found) < len(names) + 1 or isinstance(of.params.star_arg, cst.Param) or of.decorators:
        raise NotMoved(f"{of.name.value} takes other arguments than self, {', '.join(names)}")
    return found[1:]


@dataclass
class Loss:
    """What became of ``compute_loss``.

    Args:
        step: the method.
        scores: whether it looks at the scores of a batch.
    """

    step: cst.FunctionDef
    scores: bool


@dataclass
class _Computing:
    """How a ``compute_loss`` is taken apart."""

    name: str
    model: str
    inputs: str
    mm: str
    outputs: set[str] = field(default_factory=set)
    columns: tuple[str, str] | None = None


def moved_loss(old: cst.FunctionDef, own: Collection[str], mm: str) -> Loss:
    """``compute_loss`` as ``training_step``.

    Args:
        old: the method.
        own: attributes and methods of the class itself.
        mm: name of the new library.

    Raises:
        NotMoved: if it reads batches, or uses what a model does not have.
    """
    given = parameters(old, "model", "inputs")
    asked = given[2] if len(given) > 2 else "return_outputs"
    state = _Computing("compute_loss", given[0], given[1], mm)
    lines = settled(body_of(old), lambda text: False if text == asked else None)
    made: Body = []
    for line in lines:
        made += _line(line, state, asked)
    made = [_outputs(line, state) for line in made]
    scores = any(
        isinstance(node, cst.Attribute) and code(node.value) in state.outputs and node.attr.value != "loss"
        for line in made
        for node in walk(line)
    )
    if not scores:
        made = _plain_loss(made, state)
    forbidden = {state.inputs, asked, *given[3:], *(state.columns or ())} | (
        set() if scores else state.outputs
    )
    for name in names_in(made):
        if name.value in forbidden:
            raise NotMoved(f"compute_loss uses {name.value} in a way that has no successor")
    made = as_model(old, _ended(made), own, state.model)
    if not any("training_step" in code(line) or ".Step(" in code(line) for line in made):
        raise NotMoved("compute_loss does not take the model's own loss")
    return Loss(method("training_step(self, batch, batch_idx)", made, old), scores)


def _line(line: cst.BaseStatement, state: _Computing, asked: str) -> Body:
    """One statement: the model's loss is a step's."""
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
    if isinstance(small, cst.Assign) and len(small.targets) == 1:
        target = small.targets[0].target
        names = [e.value for e in target.elements] if isinstance(target, cst.Tuple) else [target]
        if code(small.value) == state.inputs and len(names) == 2:
            state.columns = code(names[0]), code(names[1])
            return []
        if _is_loss(small.value, state):
            if len(names) == 2 and _with_outputs(small.value, asked):
                state.outputs.add(code(names[1]))
                first = statement(f'{code(names[1])} = {state.mm}.Step(__self__, batch, "train")')
                second = statement(f"{code(names[0])} = {code(names[1])}.loss")
                return [_like(first, line), second]
            if len(names) == 1 and not _with_outputs(small.value, asked):
                return [_like(statement(f"{code(target)} = super().training_step(batch, batch_idx)"), line)]
            raise NotMoved("compute_loss takes the loss and the outputs apart in a way that is not followed")
        if _is_call_of_model(small.value, state) and len(names) == 1:
            state.outputs.add(code(target))
            return [_like(statement(f'{code(target)} = {state.mm}.Step(__self__, batch, "train")'), line)]
    return [_within(line, state, asked)]


def _like(new: cst.BaseStatement, old: cst.BaseStatement) -> cst.BaseStatement:
    return new.with_changes(leading_lines=getattr(old, "leading_lines", ()))


def _is_loss(node: cst.CSTNode, state: _Computing) -> bool:
    if not is_super(node, "compute_loss") or not isinstance(node, cst.Call):
        return False
    bound = bind(node, ("model", "inputs", "return_outputs", "num_items_in_batch"))
    return bound is not None and [code(bound[n].value) for n in ("model", "inputs") if n in bound] in (
        [state.model, state.inputs],
        ["self.model", state.inputs],
    )


def _with_outputs(node: cst.BaseExpression, asked: str) -> bool:
    """Whether the loss comes with the outputs."""
    bound = bind(node, ("model", "inputs", "return_outputs")) or {}  # type: ignore[arg-type]
    text = code(bound["return_outputs"].value) if "return_outputs" in bound else "False"
    if text not in ("True", "False", asked):
        raise NotMoved("compute_loss asks for outputs under a condition")
    return text == "True"


def _is_call_of_model(node: cst.BaseExpression, state: _Computing) -> bool:
    """``model(features, targets=targets, training=True)``."""
    if not isinstance(node, cst.Call) or code(node.func) not in (state.model, "self.model"):
        return False
    bound = bind(node, ("inputs", "targets", "training", "testing"))
    features, targets = state.columns or (f"{state.inputs}[0]", f"{state.inputs}[1]")
    given = {name: code(arg.value) for name, arg in (bound or {}).items()}
    if given.pop("testing", "False") != "False" or given.pop("training", "") != "True":
        raise NotMoved("compute_loss calls the model for anything but training")
    if given != {"inputs": features, "targets": targets}:
        raise NotMoved("compute_loss gives the model other inputs than it has got")
    return True


def _within(line: cst.BaseStatement, state: _Computing, asked: str) -> cst.BaseStatement:
    """``super().compute_loss(model, inputs)`` within an expression."""
    found = {
        code(node): "super().training_step(batch, batch_idx)" for node in walk(line) if _is_loss(node, state)
    }
    for node in walk(line):
        if _is_loss(node, state) and _with_outputs(node, asked):  # type: ignore[arg-type]
            raise NotMoved("compute_loss takes the loss and the outputs apart in a way that is not followed")
    made = replaced(line, found) if found else line
    return made if isinstance(made, cst.BaseStatement) else line


def _outputs(line: cst.BaseStatement, state: _Computing) -> cst.BaseStatement:
    """``outputs["loss"]`` is ``outputs.loss``."""
    new = {
        f"{name}[{quote}{key}{quote}]": f"{name}.{part}"
        for name in state.outputs
        for key, part in PARTS.items()
        for quote in "\"'"
    }
    made = replaced(line, new)
    return made if isinstance(made, cst.BaseStatement) else line


def _plain_loss(lines: Body, state: _Computing) -> Body:
    """Where only the loss of a step is asked for, it is that of ``training_step``."""
    made: Body = []
    comments: list[cst.EmptyLine] = []
    for line in lines:
        small = line.body[0] if isinstance(line, cst.SimpleStatementLine) else None
        own = [*comments, *getattr(line, "leading_lines", ())]
        if isinstance(small, cst.Assign) and code(small.value).startswith(f"{state.mm}.Step(__self__"):
            comments = own
        else:
            made.append(line.with_changes(leading_lines=own) if comments else line)
            comments = []
    text = "super().training_step(batch, batch_idx)"
    uses = [
        n for line in made for n in walk(line) if isinstance(n, cst.Attribute) and _is_step_loss(n, state)
    ]
    if len(uses) > 1:
        raise NotMoved("compute_loss asks for the loss more than once: give it a name")
    return all_replaced(made, {f"{name}.loss": text for name in state.outputs})


def _is_step_loss(node: cst.Attribute, state: _Computing) -> bool:
    return node.attr.value == "loss" and code(node.value) in state.outputs


def _ended(lines: Body) -> Body:
    """What is learned from is logged as the loss of training, as it was."""
    last = lines[-1] if lines else None
    small = last.body[-1] if isinstance(last, cst.SimpleStatementLine) else None
    if not isinstance(small, cst.Return) or small.value is None or len(returned(lines)) != 1:
        raise NotMoved("compute_loss returns in more than one place")
    logged = statement('self.log("train_loss", loss.detach(), prog_bar=True)')
    if isinstance(small.value, cst.Name):
        name = small.value.value
        logged = statement(f'self.log("train_loss", {name}.detach(), prog_bar=True)')
        return [*lines[:-1], logged, last] if last is not None else []
    named = cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(cst.Name("loss"))], small.value)])
    return [*lines[:-1], _like(named, last), logged, statement("return loss")]  # type: ignore[arg-type]


def moved_step(old: cst.FunctionDef, own: Collection[str]) -> list[cst.FunctionDef]:
    """``training_step`` that does something before or after the step itself.

    Raises:
        NotMoved: if it changes how the step goes.
    """
    given = parameters(old, "model", "inputs")
    model, inputs = given[:2]
    lines = body_of(old)
    places = [
        i for i, line in enumerate(lines) if any(is_super(node, "training_step") for node in walk(line))
    ]
    if len(places) != 1:
        raise NotMoved("training_step does not take the step of the trainer itself, once")
    before, line, after = lines[: places[0]], lines[places[0]], lines[places[0] + 1 :]
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
    loss = ""
    if isinstance(small, cst.Assign) and len(small.targets) == 1 and is_super(small.value, "training_step"):
        loss = code(small.targets[0].target)
    elif not (isinstance(small, cst.Return) and is_super(small.value, "training_step")):
        raise NotMoved("training_step changes the loss after it has been learned from")
    if loss:
        end = after.pop() if after else None
        if end is None or code(end).strip() != f"return {loss}" or returned(after):
            raise NotMoved("training_step changes the loss after it has been learned from")
    read = {name.value for name in names_in([*before, *after])}
    if inputs in read or read & set(given[2:]):
        raise NotMoved("training_step reads its batch")
    bound = {
        code(t.target) for each in before for n in walk(each) if isinstance(n, cst.Assign) for t in n.targets
    }
    if bound & {name.value for name in names_in(after)}:
        raise NotMoved("training_step keeps something from before the step for after it")
    made: list[cst.FunctionDef] = []
    if before:
        body = as_model(old, before, own, model)
        made.append(method("on_train_batch_start(self, batch, batch_idx)", body, old))
    if after:
        made.append(_after(old, after, own, model, loss, first=not made))
    return made


def _after(
    old: cst.FunctionDef, lines: Body, own: Collection[str], model: str, loss: str, *, first: bool
) -> cst.FunctionDef:
    """What stood behind the step: gradients are there, and the optimiser has done nothing yet."""
    like = old if first else None
    changes = any(
        isinstance(n, cst.Assign) and code(n.targets[0].target) == loss for e in lines for n in walk(e)
    )
    if changes:
        raise NotMoved("training_step changes the loss after it has been learned from")
    if not any(name.value == loss for name in names_in(lines)):
        return method("on_after_backward(self)", as_model(old, lines, own, model), like)
    if any(isinstance(node, cst.Attribute) and node.attr.value == "grad" for e in lines for node in walk(e)):
        raise NotMoved(
            "training_step reads the loss and the gradients, which no hook of Lightning has together"
        )
    if any("global_step" in code(line) for line in lines):
        raise NotMoved("training_step reads the loss and the number of the step before the optimiser's")
    body = as_model(old, all_replaced(lines, {loss: 'outputs["loss"]'}), own, model)
    return method("on_train_batch_end(self, outputs, batch, batch_idx)", body, like)
