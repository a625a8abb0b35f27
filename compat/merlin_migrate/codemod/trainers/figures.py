"""``log`` and ``evaluate`` of a trainer: figures that a model logs besides its own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import libcst as cst

from merlin_migrate.codemod.layout import code, literal
from merlin_migrate.codemod.metric_keys import new_key
from merlin_migrate.codemod.trainers.events import measured
from merlin_migrate.codemod.trainers.logs import truth_of
from merlin_migrate.codemod.trainers.of_self import as_model, is_super
from merlin_migrate.codemod.trainers.statements import (
    Body,
    NotMoved,
    body_of,
    method,
    names_in,
    returned,
    settled,
    statement,
)
from merlin_migrate.codemod.tree import walk


@dataclass
class Figures:
    """What a model logs besides.

    Args:
        training: statements after each batch.
        evaluation: statements after an evaluation.
        before: statements before one.
        keys: new names of what is logged, by the names in the results of the old trainer.
        logged: all new names.
    """

    training: Body = field(default_factory=list)
    evaluation: Body = field(default_factory=list)
    before: Body = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    logged: list[str] = field(default_factory=list)

    def note(self, old: str, new: str) -> None:
        """One name."""
        self.keys[old] = new
        if new not in self.logged:
            self.logged.append(new)

    def methods(self, like: cst.FunctionDef) -> list[cst.FunctionDef]:
        """The hooks."""
        made: list[cst.FunctionDef] = []

        def add(head: str, body: Body) -> None:
            made.append(method(head, body, None if made else like))

        if self.training:
            add("on_train_batch_end(self, outputs, batch, batch_idx)", self.training)
        if self.before:
            own = statement("super().on_validation_epoch_start()")
            add("on_validation_epoch_start(self)", [*self.before, own])
        if self.evaluation:
            own = statement("super().on_validation_epoch_end()")
            add("on_validation_epoch_end(self)", [own, *self.evaluation])
        return made


def moved_logging(old: cst.FunctionDef, own: Collection[str]) -> Figures:
    """``log``, which adds figures to those that are logged.

    Raises:
        NotMoved: if it does anything else with them.
    """
    params = [each.name.value for each in old.params.params]
    if len(params) < 2 or old.decorators:
        raise NotMoved("log takes other arguments than self, logs")
    made = Figures()
    for moment in ("training", "evaluation"):
        body = settled(body_of(old), truth_of(params[1], moment))
        lines = _logged(old, body, params[1], made, prefix="val_" if moment == "evaluation" else "")
        if lines and any(_reads(line, params[1]) for line in lines):
            raise NotMoved(f"log reads {params[1]}, which Lightning does not put together")
        setattr(made, moment, as_model(old, lines, own))
    return made


def _logged(old: cst.FunctionDef, lines: Body, logs: str, made: Figures, *, prefix: str) -> Body:
    """The statements with ``self.log`` in the place of entries."""
    new: Body = []
    for line in lines:
        small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
        value = small.value if isinstance(small, (cst.Expr, cst.Assign, cst.Return)) else None
        entries: list[tuple[str, cst.BaseExpression]] | None = None
        if isinstance(small, (cst.Expr, cst.Return)) and is_super(value, "log"):
            entries = _entries(value.args[0].value, logs)  # type: ignore[union-attr]
        elif (
            isinstance(small, cst.Assign)
            and len(small.targets) == 1
            and isinstance(value, cst.BaseExpression)
        ):
            target = small.targets[0].target
            if isinstance(target, cst.Subscript) and code(target.value) == logs:
                entries = [(_key(target.slice[0].slice), value)]
            elif code(target) == logs:
                entries = _entries(value, logs)
        elif isinstance(value, cst.Call) and code(value.func) == f"{logs}.update" and len(value.args) == 1:
            entries = _entries(value.args[0].value, logs)
        elif isinstance(small, (cst.Return, cst.Pass)) and value is None:
            continue
        if entries is None:
            new.append(line)
            continue
        for key, figure in entries:
            name = _name(key, prefix)
            made.note(key, name)
            call = statement(f'self.log("{name}", {code(figure)})')
            new.append(call.with_changes(leading_lines=line.leading_lines))  # type: ignore[attr-defined]
    return new


def _name(key: str, prefix: str) -> str:
    if not prefix:
        return key
    told = new_key(key)
    short = key.removeprefix("eval_").removeprefix("/")
    return told or f"{prefix}{short}"


def _key(index: cst.CSTNode) -> str:
    try:
        return str(literal(index.value))  # type: ignore[attr-defined]
    except ValueError as error:
        raise NotMoved("log names a figure by an expression") from error


def _entries(node: cst.BaseExpression, logs: str) -> list[tuple[str, cst.BaseExpression]]:
    """What is added to the entry: none, or the items of ``{**logs, "name": value}``."""
    if code(node) in (logs, f"dict({logs})"):
        return []
    if not isinstance(node, cst.Dict):
        raise NotMoved("log changes the entry in a way that is not followed")
    found = []
    for element in node.elements:
        if isinstance(element, cst.StarredDictElement):
            if code(element.value) != logs:
                raise NotMoved("log changes the entry in a way that is not followed")
        elif isinstance(element, cst.DictElement):
            try:
                found.append((str(literal(element.key)), element.value))
            except ValueError as error:
                raise NotMoved("log names a figure by an expression") from error
    return found


def _reads(line: cst.CSTNode, name: str) -> bool:
    return any(each.value == name for each in names_in([line]))


def moved_evaluation(old: cst.FunctionDef, own: Collection[str]) -> Figures:
    """``evaluate``, which does something before or after the evaluation itself.

    Raises:
        NotMoved: if it changes how models are evaluated.
    """
    made = Figures()
    lines = body_of(old)
    places = [i for i, line in enumerate(lines) if any(is_super(node, "evaluate") for node in walk(line))]
    if len(places) != 1 or old.decorators:
        raise NotMoved("evaluate does not take the trainer's own evaluation, once")
    before, line, after = lines[: places[0]], lines[places[0]], lines[places[0] + 1 :]
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
    if isinstance(small, cst.Return) and is_super(small.value, "evaluate"):
        name = ""
    elif isinstance(small, cst.Assign) and len(small.targets) == 1 and is_super(small.value, "evaluate"):
        name = code(small.targets[0].target)
        end = after.pop() if after else None
        if end is None or code(end).strip() != f"return {name}" or returned(after):
            raise NotMoved("evaluate returns something else than the metrics")
    else:
        raise NotMoved("evaluate takes the metrics in a way that is not followed")
    given = {each.name.value for each in (*old.params.params, *old.params.kwonly_params)} - {"self"}
    given |= {p.name.value for p in (old.params.star_arg, old.params.star_kwarg) if isinstance(p, cst.Param)}
    if given & {each.value for each in names_in([*before, *after])}:
        raise NotMoved("evaluate reads its arguments")
    bound = {each.value for each in names_in(before)} & {each.value for each in names_in(after)} - {"self"}
    stored = {code(t.target) for e in before for n in walk(e) if isinstance(n, cst.Assign) for t in n.targets}
    if bound & stored:
        raise NotMoved("evaluate keeps something from before the evaluation for after it")
    made.before = as_model(old, before, own)
    figures = _changed(after, name, made)
    if name and any(_reads(line, name) for line in figures):
        figures = [measured(name, "self.trainer"), *figures]
    made.evaluation = as_model(old, figures, {*own, "trainer"})
    return made


def _changed(lines: Body, metrics: str, made: Figures) -> Body:
    """Figures that are added to the metrics are logged, too."""
    new: Body = []
    read = sum(_reads(line, metrics) for line in lines)
    for line in lines:
        small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
        target = small.targets[0].target if isinstance(small, cst.Assign) else None
        if not isinstance(target, cst.Subscript) or code(target.value) != metrics:
            new.append(line)
            continue
        key = _key(target.slice[0].slice)
        name = _name(key, "val_")
        made.note(key, name)
        kept = read > 1 or _reads(small.value, metrics)  # type: ignore[union-attr]
        figure = f'{metrics}["{name}"]' if kept else code(small.value)  # type: ignore[union-attr]
        if kept:
            index = cst.SubscriptElement(cst.Index(cst.SimpleString(f'"{name}"')))
            renamed = target.with_changes(slice=[index])
            assign = small.with_changes(targets=[cst.AssignTarget(renamed)])  # type: ignore[union-attr]
            new.append(line.with_changes(body=[assign]))
        logged = statement(f'self.log("{name}", {figure})')
        new.append(logged if kept else logged.with_changes(leading_lines=line.leading_lines))  # type: ignore[attr-defined]
    return new
