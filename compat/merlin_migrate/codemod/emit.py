"""Statements for ``lightning.Trainer``, in the place of those for the old trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from merlin_migrate.codemod.arguments import Training
from merlin_migrate.codemod.layout import code, fit, keyword, with_args
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.trainers.callbacks import MovedClass
from merlin_migrate.codemod.trainers.models import MovedTrainer

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
        made: what makes the model, where the trainer was given that instead of a variable.
        renew: a new trainer is needed for each training.
        data: data sets it was given, by attribute.
        fed: attributes of it that the program sets or reads, and those of ``data``.
        late: the callbacks, where they are made behind the training arguments.
        answers: how many items it predicts.
        trained: what the program's own trainer has become, if the model is one.
        arguments: what the methods of that model, or of callbacks, read training arguments of.
        folder: its ``output_dir``, where the program itself writes to it: the old trainer made that folder.
    """

    name: str
    statement: cst.SimpleStatementLine
    model: cst.BaseExpression
    schema: cst.BaseExpression
    options: str
    training: Training
    renew: bool
    made: cst.BaseExpression | None = None
    data: dict[str, cst.BaseExpression] = field(default_factory=dict)
    fed: set[str] = field(default_factory=set)
    folder: cst.BaseExpression | None = None
    late: cst.BaseExpression | None = None
    answers: cst.BaseExpression = field(default_factory=lambda: cst.Integer("100"))
    trained: MovedTrainer | None = None
    arguments: cst.BaseExpression | None = None


@dataclass
class Callbacks:
    """The callbacks that a program gives its trainer.

    Args:
        elements: of the list, those of the program's own classes.
        classes: what has become of their classes.
        patience: of the one that stops early, if there is one.
        whole: the variable that holds the list, if there is one and it may stay.
    """

    elements: list[cst.BaseElement] = field(default_factory=list)
    classes: list[MovedClass] = field(default_factory=list)
    patience: cst.BaseExpression | None = None
    whole: cst.BaseExpression | None = None


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

    def callbacks(self, training: Training, own: Callbacks, at: cst.CSTNode) -> list[cst.Arg]:
        """``callbacks=[...]``: those of the program, and what writes the files that the old trainer wrote.

        Args:
            training: the training arguments.
            own: what the program gave the trainer.
            at: where they are to stand.
        """
        made = self._checkpoints(training) + self._best(training, own.patience)
        block = self.rule.depth(at)
        if made:
            elements = [cst.Element(call) for call in made]
            elements += [cst.Element(each.value) for each in own.elements]
            listed = fit(cst.List(elements), column=block + 14, indent="    ", block=block)
            return [keyword("callbacks", listed)]
        if not own.elements:
            return []
        return [
            keyword("callbacks", own.whole or cst.List([cst.Element(each.value) for each in own.elements]))
        ]

    def _checkpoints(self, training: Training) -> list[cst.Call]:
        """What writes the files that the old trainer wrote, as Lightning's."""
        if training.checkpoints is None:
            return []
        self.rule.program.imports.add("lightning")
        self.rule.program.checkpoints = True
        home = cst.parse_expression("lightning.pytorch.callbacks.ModelCheckpoint")
        return [cst.Call(home, training.checkpoints)]

    def _best(self, training: Training, patience: cst.BaseExpression | None) -> list[cst.Call]:
        """What keeps the best model, and stops when it has not got better for a while."""
        if training.monitor is None:
            return []
        self.rule.program.imports.add("lightning")
        judged = [
            keyword("monitor", cst.SimpleString(f'"{training.monitor.key}"')),
            keyword("mode", cst.SimpleString(f'"{training.monitor.mode}"')),
        ]
        home = "lightning.pytorch.callbacks"
        made = [cst.Call(cst.parse_expression(f"{home}.ModelCheckpoint"), judged)]
        if patience is not None:
            stop = cst.parse_expression(f"{home}.EarlyStopping")
            made.append(cst.Call(stop, [*judged, keyword("patience", patience)]))
        return made

    def windows(
        self,
        updated: cst.SimpleStatementLine,
        plan: Plan,
        given: Mapping[str, cst.BaseExpression],
        result: str | None,
    ) -> Sequence[cst.BaseStatement]:
        """``fit_and_evaluate`` written out: the loop over time windows, and the figures of each.

        Args:
            updated: the statement that calls it.
            plan: the trainer.
            given: its arguments by name.
            result: variable that takes what it gives; None where that is returned.
        """
        measured = self.rule.program.free("measured")
        figures = result or self.rule.program.free("figures")
        folder = code(given["input_dir"])
        window, after = (
            cst.parse_expression(f'f"{{{folder}}}/{{{number}}}/{part}.parquet"')
            for number, part in (("window", "train"), ("window + 1", "valid"))
        )
        block = self.rule.depth(plan.statement)
        inner = block + 4

        def line(target: str, value: cst.BaseExpression) -> cst.SimpleStatementLine:
            fitted = fit(value, column=inner + len(target) + 3, block=inner)
            return cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(cst.Name(target))], fitted)])

        body = [
            line("train_loader", self.loader_call(window, plan, "train_dataset_or_path")),
            line(plan.name, self.lightning(plan.options)),
            cst.parse_statement(f"{plan.name}.fit({code(plan.model)}, train_loader)"),
            line("eval_loader", self.loader_call(after, plan, "eval_dataset_or_path")),
            line(measured, self.validate(plan)),
            cst.parse_statement(
                f'for key in sorted(key for key in {measured} if "_at_" in key):\n'
                '    name = "indexed_by_time_" + key.replace("_at_", "@")\n'
                f"    {figures}.setdefault(name, []).append({measured}[key])\n"
            ),
        ]
        first, last = code(given["start_time_index"]), code(given["end_time_index"])
        loop = cst.parse_statement(f"for window in range({first}, {last} + 1):\n    pass\n")
        loop = loop.with_changes(body=cst.IndentedBlock(body))
        start = cst.parse_statement(f"{figures} = {{}}")
        lines: list[Any] = [start.with_changes(leading_lines=updated.leading_lines), loop]
        if result is None:
            lines.append(updated.with_changes(body=[cst.Return(cst.Name(figures))], leading_lines=()))
        return lines

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
