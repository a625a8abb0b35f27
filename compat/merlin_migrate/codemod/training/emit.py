"""Statements for ``lightning.Trainer``, in the place of those for the old trainer."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from merlin_migrate.codemod.arguments import Training
from merlin_migrate.codemod.layout import code, fit, keyword, with_args
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.training.plan import DATASETS, Plan


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
        if not isinstance(assigned, (cst.Name, cst.Attribute, cst.Subscript)):
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
        if plan.made is not None:
            lines.append(self.line(code(plan.model), plan.made, at))
        if plan.folder is not None:
            self.rule.program.imports.add("os")
            folder = cst.Call(
                cst.parse_expression("os.makedirs"),
                [cst.Arg(plan.folder), keyword("exist_ok", cst.Name("True"))],
            )
            lines.append(cst.SimpleStatementLine([cst.Expr(folder)]))
        if plan.training.seed is not None:
            self.rule.program.imports.add("lightning")
            seed = cst.Call(
                cst.parse_expression("lightning.seed_everything"),
                [cst.Arg(plan.training.seed), keyword("verbose", cst.Name("False"))],
            )
            lines.append(cst.SimpleStatementLine([cst.Expr(seed)]))
        if plan.late is not None:
            lines.append(self.line(f'{plan.options}["callbacks"]', plan.late, at))
        if plan.arguments is not None:
            lines.append(self.line(f"{code(plan.model)}.args", plan.arguments, at))
        if trains:
            optimizer = cst.Call(self.rule.api("OptimizerConfig"), self._optimizer(plan))
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

    def _optimizer(self, plan: Plan) -> list[cst.Arg]:
        """Arguments of ``OptimizerConfig``; what the program's own class makes takes the place of some."""
        args, trained, model = plan.training.optimizer, plan.trained, code(plan.model)
        if trained is None:
            return args
        gone = set()
        first: list[cst.Arg] = []
        if trained.optimizer:
            gone |= {"lr", "weight_decay", "betas", "eps", "carry_over"}
            made = f"{model}.create_optimizer()"
            anew = plan.renew and trained.optimizer == "anew"
            first = [cst.Arg(cst.parse_expression(f"lambda parameters: {made}" if anew else made))]
        if trained.scheduler:
            gone |= {"schedule", "warmup_steps", "cycles", "end"}
            schedule = self.rule.new(f'mm.ScheduleConfig({model}.create_scheduler, interval="step")')
            first.append(keyword("schedule", schedule))
        return [*first, *(arg for arg in args if arg.keyword is None or arg.keyword.value not in gone)]

    def loader_call(self, data: cst.BaseExpression, plan: Plan, name: str) -> cst.Call:
        loaders = plan.training.loaders
        kind = "train" if name.startswith("train") else "eval"
        args = [cst.Arg(data), cst.Arg(plan.schema), keyword("batch_size", loaders[f"{kind}_batch_size"])]
        if "max_sequence_length" in loaders:
            args.append(keyword("max_sequence_length", loaders["max_sequence_length"]))
            args += self.rule.quirks([keyword("keep", cst.SimpleString('"oldest"'))])
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
        judged = plan.training.monitor is not None
        model = code(plan.model)
        loaders = "train_loader, eval_loader" if judged else "train_loader"
        fit_call = cst.Expr(cst.parse_expression(f"{plan.name}.fit({model}, {loaders})"))
        lines = [updated.with_changes(body=[fit_call])]
        if plan.renew:
            made = self.line(plan.name, self.lightning(plan.options), plan.statement)
            lines = [
                made.with_changes(leading_lines=updated.leading_lines),
                lines[0].with_changes(leading_lines=()),
            ]
        if judged:
            self.rule.program.imports.add("torch")
            lines += [
                self.line(
                    "best",
                    cst.parse_expression(f"{plan.name}.checkpoint_callback.best_model_path"),
                    plan.statement,
                ),
                cst.SimpleStatementLine(
                    [
                        cst.Expr(
                            cst.parse_expression(
                                f'{model}.load_state_dict(torch.load(best, weights_only=True)["state_dict"])'
                            )
                        )
                    ]
                ),
            ]
        return lines

    def add_callback(
        self, updated: cst.SimpleStatementLine, plan: Plan, given: cst.Arg
    ) -> cst.SimpleStatementLine:
        """``trainer.add_callback(callback)``."""
        value = given.value
        if isinstance(value, cst.Name) and value.value in self.rule.program.callbacks:
            value = cst.Call(value)
        listed = f'{plan.options}.setdefault("callbacks", [])' if plan.renew else f"{plan.name}.callbacks"
        call = cst.Call(cst.parse_expression(f"{listed}.append"), [cst.Arg(value)])
        return updated.with_changes(body=[cst.Expr(call)])

    def answers(self, plan: Plan, loader: str | None, data: cst.BaseExpression) -> cst.BaseExpression:
        """``trainer.predict(data)``: a table.

        Args:
            plan: the trainer.
            loader: variable with a loader of the data, if there is one.
            data: a path, or what else holds it.
        """
        given = cst.Name(loader) if loader else self.loader_call(data, plan, "test_dataset_or_path")
        predict = cst.parse_expression(f"{code(plan.model)}.predict")
        call = cst.Call(predict, [cst.Arg(given), keyword("k", plan.answers)])
        return fit(call, column=self.rule.depth(plan.statement) + 20, block=self.rule.depth(plan.statement))

    def columns(self, table: str) -> cst.BaseExpression:
        """Items and scores of a table of answers, as the old trainer gave them."""
        self.rule.program.imports.add("numpy")
        return cst.parse_expression(f"tuple(np.array(c.to_pylist()) for c in {table}.columns[-2:])")

    @staticmethod
    def validate(plan: Plan) -> cst.BaseExpression:
        return cst.parse_expression(
            f"{plan.name}.validate({code(plan.model)}, eval_loader, verbose=False)[0]"
        )
