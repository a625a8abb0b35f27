"""``T4RecTrainingArguments`` and ``Trainer`` to ``lightning.Trainer``, with its idiom of time windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import libcst as cst
from libcst import metadata as meta

from merlin_migrate.codemod.arguments import Training, sorted_arguments
from merlin_migrate.codemod.layout import bind, code, fit, is_plain, keyword, with_args
from merlin_migrate.codemod.rule import Calls, Program, Rule

TRAINER = "transformers4rec.torch.Trainer"
ARGUMENTS = "transformers4rec.config.trainer.T4RecTrainingArguments"
PARAMETERS = (
    "model",
    "args",
    "schema",
    "train_dataset_or_path",
    "eval_dataset_or_path",
    "test_dataset_or_path",
)
DATASETS = {
    "train_dataset_or_path": "train_loader",
    "eval_dataset_or_path": "eval_loader",
    "test_dataset_or_path": "test_loader",
}
WITHOUT_EFFECT = {"compute_metrics", "incremental_logging"}

Edit = Callable[[cst.SimpleStatementLine], Sequence[cst.BaseStatement]]


@dataclass
class Plan:
    """One trainer: its variable, what it was made of, and how it is used."""

    name: str
    statement: cst.SimpleStatementLine
    model: cst.BaseExpression
    schema: cst.BaseExpression
    options: str
    training: Training
    renew: bool
    data: dict[str, cst.BaseExpression] = field(default_factory=dict)


class TrainingRule(Rule):
    """A trainer that is kept in a variable, with its arguments, and the statements that use it."""

    number: ClassVar[str] = "MM105"
    title: ClassVar[str] = "training"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._edits: dict[cst.CSTNode, Edit] = {}
        self._calls: dict[cst.CSTNode, Callable[[], cst.BaseExpression]] = {}
        self._reasons: dict[cst.CSTNode, list[str]] = {}

    # Planning

    def visit_Module(self, node: cst.Module) -> None:
        """Plans all edits before anything changes."""
        calls = Calls()
        node.visit(calls)
        for call in calls.calls:
            if self.is_call_of(call, TRAINER):
                try:
                    self._plan(call)
                except ValueError as error:
                    self._mark_at(call, str(error))

    def _mark_at(self, node: cst.CSTNode, reason: str) -> None:
        statement = self.statement_of(node)
        if statement is not None:
            self._reasons.setdefault(statement, []).append(reason)

    def _plan(self, call: cst.Call) -> None:
        assign = self.parent(call)
        line = self.statement_of(call)
        if not isinstance(assign, cst.Assign) or not isinstance(line, cst.SimpleStatementLine):
            raise ValueError("a trainer is followed only through a variable of its own")
        target = assign.targets[0].target
        if (
            len(assign.targets) != 1
            or not isinstance(target, cst.Name)
            or self.assignment(target) is not assign
        ):
            raise ValueError("a trainer is followed only through a variable that is assigned once")
        bound = bind(call, PARAMETERS)
        if bound is None or not {"model", "args", "schema"} <= set(bound):
            raise ValueError("a trainer is rewritten with model, args and schema given")
        source = self.origin(bound["args"].value)
        if not isinstance(source, cst.Call) or not self.is_call_of(source, ARGUMENTS):
            raise ValueError("the training arguments are not made in the same function")
        given = bind(source, ("output_dir",))
        if given is None:
            raise ValueError("training arguments that come from * or ** cannot be followed")
        if not isinstance(bound["model"].value, cst.Name):
            raise ValueError("the trainer's model is not a variable")
        uses = self.uses(target)
        renew = sum(self._method(use) == "train" for use in uses) > 1 or any(
            self._method(use) == "train" and self._in_loop(use) for use in uses
        )
        training = sorted_arguments(given, carry_over=renew)
        for name, value in training.loaders.items():
            if not is_plain(value):
                raise ValueError(f"{name} is computed in the training arguments: give it a name before them")
        options = self._plan_options(bound["args"].value, source, training, line)
        plan = Plan(target.value, line, bound["model"].value, bound["schema"].value, options, training, renew)
        plan.data = {name: bound[name].value for name in DATASETS if name in bound}
        others = set(bound) - {*PARAMETERS} - WITHOUT_EFFECT
        for name in sorted(others):
            self._mark_at(call, f"left out, no successor: {name}; callbacks and loggers are Lightning's")
        for reason in training.reasons:
            self._mark_at(source, reason)
        early = self._needed_early(uses)
        inline = source is bound["args"].value
        trains = any(self._method(use) == "train" for use in uses)
        self._edits[line] = lambda updated: self._trainer(
            updated, plan, source if inline else None, make=early or not renew, trains=trains
        )
        for use in uses:
            self._plan_use(use, plan)

    def _plan_options(
        self, given: cst.BaseExpression, source: cst.Call, training: Training, line: cst.SimpleStatementLine
    ) -> str:
        """Name of the variable with the options of ``lightning.Trainer``."""
        if not isinstance(given, cst.Name):
            return self._free("trainer_options")
        statement = self.statement_of(source)
        if not isinstance(statement, cst.SimpleStatementLine) or len(statement.body) != 1:
            raise ValueError("the training arguments are not a statement of their own")
        self._edits[statement] = lambda updated: [self._options(updated, source, training)]
        for use in self.uses(given):
            if isinstance(self.parent(use), cst.Attribute):
                self._mark_at(use, "the training arguments are a dict of Lightning's options now")
        return given.value

    def _free(self, name: str) -> str:
        while name in self.program.bound:
            name += "_"
        return name

    def _attribute(self, use: cst.CSTNode) -> cst.Attribute | None:
        parent = self.parent(use)
        return parent if isinstance(parent, cst.Attribute) and parent.value is use else None

    def _method(self, use: cst.CSTNode) -> str | None:
        """Name of the method that is called on the trainer here."""
        attribute = self._attribute(use)
        call = self.parent(attribute) if attribute else None
        if attribute and isinstance(call, cst.Call) and call.func is attribute:
            return attribute.attr.value
        return None

    def _in_loop(self, node: cst.CSTNode) -> bool:
        above = self.parent(node)
        while above is not None and not isinstance(above, (cst.FunctionDef, cst.Lambda)):
            if isinstance(above, (cst.For, cst.While)):
                return True
            above = self.parent(above)
        return False

    def _needed_early(self, uses: Sequence[cst.CSTNode]) -> bool:
        """Whether the trainer is used for anything but training in time windows."""
        for use in uses:
            attribute = self._attribute(use)
            known = attribute is not None and attribute.attr.value in (
                *DATASETS,
                "train",
                "evaluate",
                "reset_lr_scheduler",
                "state",
            )
            if not known:
                return True
        return not any(self._method(use) == "train" for use in uses)

    def _plan_use(self, use: cst.CSTNode, plan: Plan) -> None:
        statement = self.statement_of(use)
        attribute = self._attribute(use)
        if (
            not isinstance(statement, cst.SimpleStatementLine)
            or attribute is None
            or len(statement.body) != 1
        ):
            self._mark_at(use, "the trainer is Lightning's now")
            return
        if self.get_metadata(meta.ScopeProvider, use, None) is not self.get_metadata(
            meta.ScopeProvider, self._edited(plan), None
        ):
            self._mark_at(use, "the trainer is used in another function than the one that makes it")
            return
        small = statement.body[0]
        attr = attribute.attr.value
        method = self._method(use)
        whole = isinstance(small, cst.Expr) and small.value is self.parent(attribute)
        if attr in DATASETS and isinstance(small, cst.Assign) and len(small.targets) == 1:
            if small.targets[0].target is attribute:
                self._edits[statement] = lambda updated: [self._loader(updated, plan, attr)]
                return
        elif method == "reset_lr_scheduler" and whole:
            self._edits[statement] = lambda updated: [self.dropped(updated)]
            return
        elif (
            attr == "state"
            and isinstance(small, cst.AugAssign)
            and code(small.target).endswith(".global_step")
        ):
            self._edits[statement] = lambda updated: [self.dropped(updated)]
            return
        elif method == "train" and whole and not small.value.args:  # type: ignore[union-attr]
            self._edits[statement] = lambda updated: self._fit(updated, plan)
            return
        elif method == "evaluate":
            call = self.parent(attribute)
            if isinstance(call, cst.Call) and set(bind(call, ("eval_dataset",)) or {}) <= {
                "metric_key_prefix"
            }:
                self._calls[call] = lambda: self._validate(plan)
                return
        self._mark_at(use, f"the trainer's {attr} has no successor that can be written by itself")

    @staticmethod
    def _edited(plan: Plan) -> cst.CSTNode:
        assign = plan.statement.body[0]
        return assign.targets[0].target if isinstance(assign, cst.Assign) else plan.statement

    # Doing

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """``trainer.evaluate()`` within an expression."""
        make = self._calls.get(original_node)
        if make is None:
            return updated_node
        self.done()
        return make()

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """One statement that has an edit or a mark."""
        for reason in self._reasons.get(original_node, ()):
            self.mark(reason, "training")
        edit = self._edits.get(original_node)
        if edit is None:
            return updated_node
        self.done()
        first, *rest = edit(updated_node)
        self._block = self.depth(original_node)
        return cst.FlattenSentinel([first, *rest]) if rest else first

    def leave_For(self, original_node: cst.For, updated_node: cst.For) -> cst.BaseStatement:
        """Marks in the head of a loop."""
        return self._headed(original_node, updated_node)

    def leave_If(self, original_node: cst.If, updated_node: cst.If) -> cst.BaseStatement:
        """Marks in the head of a condition."""
        return self._headed(original_node, updated_node)

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> cst.BaseStatement:
        """Marks in the head of a with statement."""
        return self._headed(original_node, updated_node)

    def _headed(self, original: cst.CSTNode, updated: cst.BaseStatement) -> cst.BaseStatement:
        for reason in self._reasons.get(original, ()):
            self.mark(reason, "training")
        return updated

    def _options(
        self, updated: cst.SimpleStatementLine, source: cst.Call, training: Training
    ) -> cst.SimpleStatementLine:
        value = with_args(source.with_changes(func=cst.Name("dict")), training.trainer)
        assign = updated.body[0]
        if not isinstance(assign, cst.Assign):
            raise TypeError("training arguments are an assignment")
        value = fit(value, column=self.column(source), block=self.depth(source))  # type: ignore[assignment]
        return updated.with_changes(body=[assign.with_changes(value=value)])

    def _line(self, target: str, value: cst.BaseExpression, at: cst.CSTNode) -> cst.SimpleStatementLine:
        block = self.depth(at)
        fitted = fit(value, column=block + len(target) + 3, block=block)
        assigned = cst.parse_expression(target)
        if not isinstance(assigned, (cst.Name, cst.Attribute)):
            raise TypeError(f"{target} cannot be assigned to")
        return cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(assigned)], fitted)])

    def _lightning(self, options: str) -> cst.BaseExpression:
        self.program.imports.add("lightning")
        return cst.parse_expression(f"lightning.Trainer(**{options})")

    def _trainer(
        self,
        updated: cst.SimpleStatementLine,
        plan: Plan,
        inline: cst.Call | None,
        *,
        make: bool,
        trains: bool,
    ) -> Sequence[cst.BaseStatement]:
        lines: list[cst.SimpleStatementLine] = []
        at = plan.statement
        if inline is not None:
            arguments = with_args(inline.with_changes(func=cst.Name("dict")), plan.training.trainer)
            lines.append(self._line(plan.options, arguments, at))
        if plan.training.seed is not None:
            self.program.imports.add("lightning")
            seed = cst.Call(
                cst.parse_expression("lightning.seed_everything"),
                [cst.Arg(plan.training.seed), keyword("verbose", cst.Name("False"))],
            )
            lines.append(cst.SimpleStatementLine([cst.Expr(seed)]))
        if trains:
            optimizer = cst.Call(self.api("OptimizerConfig"), plan.training.optimizer)
            lines.append(self._line(f"{code(plan.model)}.optimizer", optimizer, at))
        if make:
            lines.append(self._line(plan.name, self._lightning(plan.options), at))
        lines += [
            self._line(DATASETS[name], self._loader_call(value, plan, name), at)
            for name, value in plan.data.items()
        ]
        if not lines:
            return [self.dropped(updated)]
        lines[0] = lines[0].with_changes(leading_lines=updated.leading_lines)
        lines[-1] = lines[-1].with_changes(trailing_whitespace=updated.trailing_whitespace)
        return lines

    def _loader_call(self, data: cst.BaseExpression, plan: Plan, name: str) -> cst.Call:
        loaders = plan.training.loaders
        kind = "train" if name.startswith("train") else "eval"
        args = [cst.Arg(data), cst.Arg(plan.schema), keyword("batch_size", loaders[f"{kind}_batch_size"])]
        if "max_sequence_length" in loaders:
            args.append(keyword("max_sequence_length", loaders["max_sequence_length"]))
            args.append(keyword("keep", cst.SimpleString('"oldest"')))
        if kind == "train":
            args.append(keyword("shuffle", cst.Name("True")))
        if "drop_last" in loaders:
            args.append(keyword("drop_last", loaders["drop_last"]))
        return cst.Call(self.api("ParquetLoader"), args)

    def _loader(self, updated: cst.SimpleStatementLine, plan: Plan, name: str) -> cst.SimpleStatementLine:
        assign = updated.body[0]
        if not isinstance(assign, cst.Assign):
            raise TypeError(f"{name} is set by an assignment")
        new = self._line(DATASETS[name], self._loader_call(assign.value, plan, name), plan.statement)
        return updated.with_changes(body=new.body)

    def _fit(self, updated: cst.SimpleStatementLine, plan: Plan) -> Sequence[cst.BaseStatement]:
        fit_call = cst.parse_expression(f"{plan.name}.fit({code(plan.model)}, train_loader)")
        if not plan.renew:
            return [updated.with_changes(body=[cst.Expr(fit_call)])]
        made = self._line(plan.name, self._lightning(plan.options), plan.statement)
        return [
            made.with_changes(leading_lines=updated.leading_lines),
            updated.with_changes(body=[cst.Expr(fit_call)], leading_lines=()),
        ]

    @staticmethod
    def _validate(plan: Plan) -> cst.BaseExpression:
        return cst.parse_expression(
            f"{plan.name}.validate({code(plan.model)}, eval_loader, verbose=False)[0]"
        )
