"""Statements for ``lightning.Trainer``, in the place of those for the old trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import libcst as cst

from merlin_migrate.codemod.arguments import Training
from merlin_migrate.codemod.layout import code, fit, keyword, with_args
from merlin_migrate.codemod.rule import Rule

DATASETS = {
    "train_dataset_or_path": "train_loader",
    "eval_dataset_or_path": "eval_loader",
    "test_dataset_or_path": "test_loader",
}


@dataclass
class Plan:
    """One trainer: its variable, what it was made of, and how it is used.

    Args:
        name: its variable.
        statement: where it is made.
        model: the model it was given.
        schema: the schema it was given.
        options: variable with the options of ``lightning.Trainer``.
        training: the training arguments, sorted.
        renew: a new trainer is needed for each training.
        data: data sets it was given, by attribute.
        fed: attributes of it that the program sets or reads, and those of ``data``.
    """

    name: str
    statement: cst.SimpleStatementLine
    model: cst.BaseExpression
    schema: cst.BaseExpression
    options: str
    training: Training
    renew: bool
    data: dict[str, cst.BaseExpression] = field(default_factory=dict)
    fed: set[str] = field(default_factory=set)


class Emitter:
    """Writes the new statements.

    Args:
        rule: the rule that has planned them.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def options(
        self, updated: cst.SimpleStatementLine, source: cst.Call, training: Training
    ) -> cst.SimpleStatementLine:
        """The training arguments as a dict of options."""
        value = with_args(source.with_changes(func=cst.Name("dict")), training.trainer)
        assign = updated.body[0]
        if not isinstance(assign, cst.Assign):
            raise TypeError("training arguments are an assignment")
        value = fit(value, column=self.rule.column(source), block=self.rule.depth(source))  # type: ignore[assignment]
        return updated.with_changes(body=[assign.with_changes(value=value)])

    def line(self, target: str, value: cst.BaseExpression, at: cst.CSTNode) -> cst.SimpleStatementLine:
        """``target = value``, as wide as the block of ``at`` allows."""
        block = self.rule.depth(at)
        fitted = fit(value, column=block + len(target) + 3, block=block)
        assigned = cst.parse_expression(target)
        if not isinstance(assigned, (cst.Name, cst.Attribute)):
            raise TypeError(f"{target} cannot be assigned to")
        return cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(assigned)], fitted)])

    def lightning(self, options: str) -> cst.BaseExpression:
        """A new trainer of these options."""
        self.rule.program.imports.add("lightning")
        return cst.parse_expression(f"lightning.Trainer(**{options})")

    def trainer(
        self,
        updated: cst.SimpleStatementLine,
        plan: Plan,
        inline: cst.Call | None,
        *,
        make: bool,
        trains: bool,
    ) -> Sequence[cst.BaseStatement]:
        """What stands where the old trainer was made.

        Args:
            updated: the statement.
            plan: the trainer.
            inline: the training arguments, if they were made here.
            make: make the new trainer here.
            trains: it is used to train.
        """
        lines: list[cst.SimpleStatementLine] = []
        at = plan.statement
        if inline is not None:
            arguments = with_args(inline.with_changes(func=cst.Name("dict")), plan.training.trainer)
            lines.append(self.line(plan.options, arguments, at))
        if plan.training.seed is not None:
            self.rule.program.imports.add("lightning")
            seed = cst.Call(
                cst.parse_expression("lightning.seed_everything"),
                [cst.Arg(plan.training.seed), keyword("verbose", cst.Name("False"))],
            )
            lines.append(cst.SimpleStatementLine([cst.Expr(seed)]))
        if trains:
            optimizer = cst.Call(self.rule.api("OptimizerConfig"), plan.training.optimizer)
            lines.append(self.line(f"{code(plan.model)}.optimizer", optimizer, at))
        if make:
            lines.append(self.line(plan.name, self.lightning(plan.options), at))
        lines += [
            self.line(DATASETS[name], self.loader_call(value, plan, name), at)
            for name, value in plan.data.items()
        ]
        if not lines:
            return [self.rule.dropped(updated)]
        lines[0] = lines[0].with_changes(leading_lines=updated.leading_lines)
        lines[-1] = lines[-1].with_changes(trailing_whitespace=updated.trailing_whitespace)
        return lines

    def loader_call(self, data: cst.BaseExpression, plan: Plan, name: str) -> cst.Call:
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
        return cst.Call(self.rule.api("ParquetLoader"), args)

    def loader(self, updated: cst.SimpleStatementLine, plan: Plan, name: str) -> cst.SimpleStatementLine:
        assign = updated.body[0]
        if not isinstance(assign, cst.Assign):
            raise TypeError(f"{name} is set by an assignment")
        new = self.line(DATASETS[name], self.loader_call(assign.value, plan, name), plan.statement)
        return updated.with_changes(body=new.body)

    def fit(self, updated: cst.SimpleStatementLine, plan: Plan) -> Sequence[cst.BaseStatement]:
        fit_call = cst.parse_expression(f"{plan.name}.fit({code(plan.model)}, train_loader)")
        if not plan.renew:
            return [updated.with_changes(body=[cst.Expr(fit_call)])]
        made = self.line(plan.name, self.lightning(plan.options), plan.statement)
        return [
            made.with_changes(leading_lines=updated.leading_lines),
            updated.with_changes(body=[cst.Expr(fit_call)], leading_lines=()),
        ]

    @staticmethod
    def validate(plan: Plan) -> cst.BaseExpression:
        return cst.parse_expression(
            f"{plan.name}.validate({code(plan.model)}, eval_loader, verbose=False)[0]"
        )
