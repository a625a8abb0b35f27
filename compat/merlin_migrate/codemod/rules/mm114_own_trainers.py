"""Subclasses of the trainer and callbacks: a subclass of ``mm.Model``, and Lightning's callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, is_plain, literal
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import MARK, Rule
from merlin_migrate.codemod.trainers.callbacks import MovedClass, moved_callback
from merlin_migrate.codemod.trainers.models import METHODS, MovedTrainer, moved_trainer
from merlin_migrate.codemod.trainers.statements import NotMoved, names_in, statement
from merlin_migrate.codemod.tree import walk

TRAINER = "transformers4rec.torch.Trainer"
ARGUMENTS = "transformers4rec.config.trainer.T4RecTrainingArguments"
CALLBACK = "transformers.TrainerCallback"
ANCHOR = "own-trainers"


class OwnTrainersRule(Rule):
    """What such classes override moves to hooks of the same time; what has none is marked."""

    number: ClassVar[str] = "MM114"
    title: ClassVar[str] = "own trainers"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        # Marks, by the class or method that they stand before.
        self._reasons: dict[cst.CSTNode, list[str]] = {}
        self._moved: dict[cst.CSTNode, cst.ClassDef] = {}
        self._trainers: dict[cst.CSTNode, cst.BaseExpression] = {}
        self._left: dict[str, cst.ClassDef] = {}
        self._models: dict[cst.CSTNode, tuple[str, list[cst.Arg]]] = {}

    def visit_Module(self, node: cst.Module) -> None:
        """Finds the classes, and what becomes of each."""
        imports = (*self.tree.all_of(cst.Import), *self.tree.all_of(cst.ImportFrom))
        if not any("transformers4rec" in code(each) for each in imports):
            return
        classes = self.tree.all_of(cst.ClassDef)
        of_trainers = {each.name.value for each in classes if self._base(each) == TRAINER}
        for each in classes:
            base = self._base(each)
            if self._is_marked(each):
                # Why it stayed may not be seen any more, where the rest of the program has moved.
                continue
            if base == TRAINER:
                self._trainer(each)
            elif base == ARGUMENTS:
                self._mark_at(
                    each,
                    "the arguments become a dataclass without a base class, with the fields that the program "
                    "reads",
                )
            elif base == CALLBACK:
                self._callback(each)
            elif any(code(arg.value) in of_trainers for arg in each.bases):
                self._mark_at(
                    each, "a trainer of a trainer of one's own becomes a subclass of mm.Model by hand"
                )

    def _is_marked(self, owner: cst.ClassDef) -> bool:
        """Whether an earlier run has left a mark before a class or one of its members."""
        lines = [line for node in (owner, *owner.body.body) for line in getattr(node, "leading_lines", ())]
        return any(line.comment and line.comment.value.startswith(f"{MARK} {self.number} ") for line in lines)

    def _base(self, owner: cst.ClassDef) -> str | None:
        if len(owner.bases) != 1:
            return None
        entry = self.entry(owner.bases[0].value)
        return entry.name if entry is not None else self.qualified(owner.bases[0].value)

    def _mark_at(self, node: cst.CSTNode, reason: str) -> None:
        self._reasons.setdefault(node, []).append(reason)

    # What the program says of its training

    def _arguments(self) -> list[cst.Call]:
        """Calls that make training arguments."""
        own = self.program.arguments
        return [
            call
            for call in self.calls()
            if self.is_call_of(call, ARGUMENTS)
            or (isinstance(call.func, cst.Name) and call.func.value in own)
        ]

    def _given(self, name: str) -> list[cst.BaseExpression]:
        """What training arguments are given by a keyword."""
        args = (arg for call in self._arguments() for arg in call.args)
        return [arg.value for arg in args if arg.keyword is not None and arg.keyword.value == name]

    def _said(self, name: str) -> bool:
        """Whether a command line, or an assignment, may give an argument."""
        set_later = any(n.attr.value == name for n in self.tree.all_of(cst.Attribute))
        return set_later or any(text.lstrip("-").replace("-", "_") == name for text in self.program.strings)

    @property
    def _strategy(self) -> str | None:
        """When the program logs: "steps", "epoch" or "no"; None if that cannot be told."""
        if self._said("logging_strategy") or self._said("logging_first_step"):
            return None
        if any(code(value) != "False" for value in self._given("logging_first_step")):
            return None
        found = {
            code(value).rpartition(".")[2].strip("'\"").lower() for value in self._given("logging_strategy")
        }
        found = found or {"steps"}
        return found.pop() if len(found) == 1 and found <= {"steps", "epoch", "no"} else None

    @property
    def _accumulates(self) -> bool:
        name = "gradient_accumulation_steps"
        return self._said(name) or any(code(value) != "1" for value in self._given(name))

    # Classes

    def _callback(self, owner: cst.ClassDef) -> None:
        moved, reasons = moved_callback(
            owner,
            strategy=self._strategy,
            accumulates=self._accumulates,
            waiting=self.program.free("waiting"),
        )
        if moved is None:
            self._mark_at(owner, "the base class of a callback is lightning.Callback")
            for node, reason in reasons.items():
                self._mark_at(node, reason)
            return
        self.program.imports.add("lightning")
        self.program.callbacks[owner.name.value] = moved
        for node, differs in moved.differs.items():
            for reason in differs:
                self._mark_at(node, reason)
        self._replace(owner, owner.name.value, "lightning.Callback", moved)

    def _trainer(self, owner: cst.ClassDef) -> None:
        moved, reasons = moved_trainer(owner, mm=self.program.alias, accumulates=self._accumulates)
        try:
            if moved is None:
                raise NotMoved(reasons.pop(owner, ""))
            calls = self._uses_of(owner)
            models = [self._model_of(call, moved) for call in calls]
        except NotMoved as error:
            why = f": {error}" if str(error) else ""
            text = "a trainer of one's own becomes a subclass of mm.Model, method by method"
            self._mark_at(owner, text + why)
            for node, reason in reasons.items():
                self._mark_at(node, reason)
            self._left[owner.name.value] = owner
            return
        name = self._new_name(owner.name.value)
        for call, (model, args) in zip(calls, models, strict=True):
            self._trainers[call] = owner.bases[0].value
            self._models[model] = (name, args)
        self.program.models[name] = moved
        self.program.metric_keys.update(moved.figures.keys)
        self.api("Model")
        self._replace(owner, name, f"{self.program.alias}.Model", moved)

    def _new_name(self, name: str) -> str:
        new = name.replace("Trainer", "Model") if "Trainer" in name else f"{name}Model"
        return self.program.free(new)

    def _uses_of(self, owner: cst.ClassDef) -> list[cst.Call]:
        """The calls that make such a trainer."""
        calls = []
        within = set(walk(owner))
        for node in self.tree.all_of(cst.Name):
            if node.value != owner.name.value or node in within:
                continue
            call = self.parent(node)
            if not isinstance(call, cst.Call) or call.func is not node:
                raise NotMoved(f"{owner.name.value} is used for something else than to make a trainer")
            calls.append(call)
        if not calls:
            raise NotMoved("the program makes no trainer of it")
        return calls

    def _model_of(self, call: cst.Call, moved: MovedTrainer) -> tuple[cst.Call, list[cst.Arg]]:
        """The call that makes the model of a trainer, and what it is given besides."""
        bound = bind(call, ("model", "args", "schema"))
        value = bound["model"].value if bound is not None and "model" in bound else None
        model = self.origin(value)
        if not isinstance(model, cst.Call) or code(model.func) != f"{self.program.alias}.Model":
            raise NotMoved("the model of the trainer is not made, as a tr.Model, in the same function")
        output = self.origin(model.args[-1].value)
        items = isinstance(output, cst.Call) and code(output.func).endswith(".CategoricalOutput")
        if moved.scores and not items:
            raise NotMoved("compute_loss reads predictions of other tasks than that of items")
        args = [bound[name] for name in moved.given if bound is not None and name in bound]
        for arg in args:
            if arg.keyword is None or not self._is_known_before(arg.value, model):
                raise NotMoved(
                    "an argument of its own is computed after the model is made, which takes it now"
                )
        return model, args

    def _is_known_before(self, value: cst.BaseExpression, model: cst.Call) -> bool:
        try:
            literal(value)
        except ValueError:
            pass
        else:
            return True
        if not is_plain(value):
            return False
        places = self.tree.places
        statements = [self.assignment(name) for name in names_in([value])]
        return all(each is not None and places[each] < places[model] for each in statements)

    def _replace(self, owner: cst.ClassDef, name: str, base: str, moved: MovedClass) -> None:
        """The class with other members, name and base."""
        body: list[cst.BaseStatement] = []
        for line in owner.body.body:
            new = moved.methods.get(line)
            if new is None:
                body.append(line)  # type: ignore[arg-type]
                continue
            body += new
        logged = moved.figures.logged if isinstance(moved, MovedTrainer) else []
        if logged:
            names = ", ".join(f'"{each}"' for each in logged) + ("," if len(logged) == 1 else "")
            _insert(body, int(owner.get_docstring() is not None), f"also_logged = ({names})")
        body = body or [statement("pass")]
        self._moved[owner] = owner.with_changes(
            name=cst.Name(name),
            bases=[cst.Arg(cst.parse_expression(base))],
            body=owner.body.with_changes(body=body),
        )

    # Doing

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.BaseStatement:
        """One class."""
        self._told(original_node)
        moved = self._moved.get(original_node)
        if moved is None:
            return updated_node
        self.done()
        for event in original_node.body.body:
            self._told(event)
        return moved

    def _told(self, node: cst.CSTNode) -> None:
        for reason in self._reasons.get(node, ()):
            self.mark(reason, ANCHOR)

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.BaseStatement:
        """One method of a class that stays."""
        self._told(original_node)
        return updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """A trainer of such a class is made, or its model."""
        if original_node in self._models:
            name, args = self._models[original_node]
            return self._made(updated_node, name, args)
        func = original_node.func
        base = self._trainers.get(original_node)
        if base is not None:
            moved = self.program.models[self._new_name_of(original_node)]
            kept = [a for a in updated_node.args if a.keyword is None or a.keyword.value not in moved.given]
            return updated_node.with_changes(func=base.deep_clone(), args=_closed(kept))
        if isinstance(func, cst.Name) and func.value in self._left:
            self.mark(
                "its options go to lightning.Trainer, mm.ParquetLoader and model.optimizer, callbacks are "
                "Lightning's; train is fit, evaluate is validate, predict is model.predict",
                ANCHOR,
            )
        return updated_node

    def _new_name_of(self, call: cst.Call) -> str:
        return self._new_name(code(call.func))

    @staticmethod
    def _made(call: cst.Call, name: str, args: Sequence[cst.Arg]) -> cst.Call:
        given = [*call.args, *args]
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        given = [arg.with_changes(comma=comma) for arg in given[:-1]] + [
            given[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        ]
        return call.with_changes(func=cst.Name(name), args=given if args else call.args)


def _insert(body: list[cst.BaseStatement], place: int, text: str) -> None:
    """A line of a class of its own, apart from its docstring and what follows."""
    blank = cst.EmptyLine(indent=False)
    line = statement(text)
    body.insert(place, line.with_changes(leading_lines=[blank]) if place else line)
    following = body[place + 1] if len(body) > place + 1 else None
    before = getattr(following, "leading_lines", ())
    if following is not None and (not before or before[0].comment is not None):
        body[place + 1] = following.with_changes(leading_lines=[blank, *before])


def _closed(args: Sequence[cst.Arg]) -> list[cst.Arg]:
    """Arguments without a comma behind the last that its line does not need."""
    kept = list(args)
    last = kept[-1] if kept else None
    if last is not None and isinstance(last.comma, cst.Comma) and code(last.comma).strip(" ") == ",":
        kept[-1] = last.with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return kept


__all__ = ["METHODS", "OwnTrainersRule"]
