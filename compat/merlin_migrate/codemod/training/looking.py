"""The part of rule MM106 that looks: what becomes of a trainer is known before anything changes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import libcst as cst

from merlin_migrate.codemod.arguments import Training, parsed_fields, sorted_arguments
from merlin_migrate.codemod.layout import bind, code, is_plain, keyword
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.rules.mm115_parsed_arguments import ALWAYS, WHERE_MENTIONED
from merlin_migrate.codemod.trainers.callbacks import MovedClass
from merlin_migrate.codemod.trainers.given import (
    added,
    answers_items,
    callbacks_of,
    is_made_before,
    places_of_predictions,
)
from merlin_migrate.codemod.trainers.models import MovedTrainer
from merlin_migrate.codemod.training.callbacks import CallbackWriter
from merlin_migrate.codemod.training.emit import Emitter
from merlin_migrate.codemod.training.plan import DATASETS, Callbacks, GivenArguments, Plan
from merlin_migrate.codemod.training.uses import UsesOfTrainers
from merlin_migrate.codemod.training.windows import windows
from merlin_migrate.table import find

ARGUMENTS = "transformers4rec.config.trainer.T4RecTrainingArguments"
PARAMETERS = (
    "model",
    "args",
    "schema",
    "train_dataset_or_path",
    "eval_dataset_or_path",
    "test_dataset_or_path",
)
WITHOUT_EFFECT = {"compute_metrics", "incremental_logging"}

Edit = Callable[[cst.SimpleStatementLine], Sequence[cst.BaseStatement]]


class PlanOfTraining(Rule):
    """Plans an edit for each statement with a trainer, or a mark."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._emit = Emitter(self)
        self._uses = UsesOfTrainers(self)
        self._callbacks = CallbackWriter(self)
        self._edits: dict[cst.CSTNode, Edit] = {}
        self._calls: dict[cst.CSTNode, Callable[[], cst.BaseExpression]] = {}
        self._attributes: dict[cst.CSTNode, Callable[[], cst.BaseExpression]] = {}
        self._reasons: dict[cst.CSTNode, list[str]] = {}
        # Uses of a trainer within an argument of its own method, which is planned as a whole.
        self._planned: set[cst.CSTNode] = set()

    def visit_Module(self, node: cst.Module) -> None:
        """Plans all edits before anything changes."""
        for call in self.calls():
            if self._uses.is_trainer(call):
                try:
                    self._plan(call)
                except ValueError as error:
                    self._mark_at(call, str(error))

    def _mark_at(self, node: cst.CSTNode, reason: str) -> None:
        statement = self.statement_of(node)
        if statement is not None:
            self._reasons.setdefault(statement, []).append(reason)

    def _plan(self, call: cst.Call) -> None:
        """All edits for one trainer; none of them if it is refused."""
        line, target = self._variable(call)
        bound = bind(call, PARAMETERS)
        if bound is None or not {"model", "args", "schema"} <= set(bound):
            raise ValueError("a trainer is rewritten with model, args and schema given")
        given = self._given(bound["args"].value, call)
        model, made = self._model(bound["model"].value)
        uses = self._uses.of(target)
        renew = self._uses.train_again(uses)
        training = sorted_arguments(given.fields, carry_over=renew)
        self._check(training, {*bound, *map(self._uses.set, uses)}, uses, renew=renew)
        callbacks = callbacks_of(self, bound.get("callbacks"), training)
        if callbacks is not None:
            del bound["callbacks"]
        own = callbacks or Callbacks()
        own.classes += [each for use in uses if (each := self._added(use)) is not None]
        late = self._give_callbacks(training, own, given)
        trained = self._trained(model if made is None else made)
        acting = [*own.classes, *([trained] if trained is not None else [])]
        if training.monitor is not None and any(each.evaluates for each in acting):
            training.trainer.append(keyword("num_sanity_val_steps", cst.Integer("0")))
        arguments = self._read_arguments({name for each in acting for name in each.arguments}, given, call)
        # Nothing is refused from here on: an edit that is planned is done.
        options = self._plan_options(given, training)
        plan = Plan(code(target), line, model, bound["schema"].value, options, training, renew, made)
        plan.trained, plan.late, plan.arguments = trained, late, arguments
        fields = given.fields
        if "predict_top_k" in fields:
            plan.answers = fields["predict_top_k"].value
        if "output_dir" in fields and self._uses.written_to(fields["output_dir"].value):
            plan.folder = fields["output_dir"].value
        plan.data = {name: bound[name].value for name in DATASETS if name in bound}
        plan.fed = {*plan.data, *(a.attr.value for a in map(self._uses.attribute, uses) if a is not None)}
        for name in sorted(set(bound) - {*PARAMETERS} - WITHOUT_EFFECT):
            self._mark_at(call, f"left out, no successor: {name}; callbacks and loggers are Lightning's")
        for reason in training.reasons:
            self._mark_at(given.made_at, reason)
        self._plan_statements(plan, uses, given)

    def _variable(self, call: cst.Call) -> tuple[cst.SimpleStatementLine, cst.Name | cst.Attribute]:
        """The statement that makes a trainer, and its variable: a name, or ``self.name`` of one method."""
        assign, line = self.parent(call), self.statement_of(call)
        if not isinstance(assign, cst.Assign) or not isinstance(line, cst.SimpleStatementLine):
            raise ValueError("a trainer is followed only through a variable of its own")
        target = assign.targets[0].target
        if len(assign.targets) == 1 and isinstance(target, cst.Attribute) and code(target.value) == "self":
            if self._uses.only_in_its_method(target):
                return line, target
            raise ValueError(f"{code(target)} is followed only where one method makes and uses it")
        alone = len(assign.targets) == 1 and isinstance(target, cst.Name)
        if not alone or self.assignment(target) is not assign:
            raise ValueError("a trainer is followed only through a variable that is assigned once")
        return line, target  # type: ignore[return-value]

    def _given(self, node: cst.BaseExpression, call: cst.Call) -> GivenArguments:
        """The training arguments of a trainer."""
        name = code(node)
        parsed = self.program.parsed.get(name)
        if parsed is not None:
            fields = parsed_fields(name, self.program.arguments[parsed], self.program.given.get(name, {}))
            return GivenArguments(node, cst.Call(cst.Name("dict")), fields, call)
        source = self.origin(node)
        if not isinstance(source, cst.Call) or not self.is_call_of(source, ARGUMENTS):
            raise ValueError("the training arguments are not made in the same function")
        bound = bind(source, ("output_dir",))
        if bound is None:
            raise ValueError("training arguments that come from * or ** cannot be followed")
        return GivenArguments(node, source, bound, source)

    def _model(self, node: cst.BaseExpression) -> tuple[cst.BaseExpression, cst.BaseExpression | None]:
        """The variable of the model that a trainer gets, and what makes it where it has none."""
        if isinstance(node, cst.Call):
            return cst.Name(self.program.free("trained_model")), node
        if not isinstance(node, cst.Name) and not (isinstance(node, cst.Attribute) and is_plain(node)):
            raise ValueError("the trainer's model is not a variable")
        return node, None

    def _check(
        self, training: Training, given: set[str | None], uses: Sequence[cst.CSTNode], *, renew: bool
    ) -> None:
        """Refuses what cannot be written for a trainer that is given these things and is used so."""
        for name, value in training.loaders.items():
            if not is_plain(value):
                raise ValueError(f"{name} is computed in the training arguments: give it a name before them")
        if training.monitor is not None and (renew or "eval_dataset_or_path" not in given):
            raise ValueError("the best model is kept in one training with data to evaluate on only")
        in_windows = any(self._uses.windows(use) is not None for use in uses)
        if in_windows and "max_sequence_length" not in training.loaders:
            raise ValueError("fit_and_evaluate is written out with max_sequence_length given only")

    def _give_callbacks(
        self, training: Training, own: Callbacks, given: GivenArguments
    ) -> cst.BaseExpression | None:
        """Gives the new trainer its callbacks; they are returned where they are made too late for that."""
        listed = self._callbacks.written(training, own, given.made_at)
        late = not all(is_made_before(self, each.value, given.made_at) for each in own.elements)
        training.trainer += [] if late else listed
        if "logging_steps" not in given.fields and any(each.logs for each in own.classes):
            # Lightning's own is 50.
            training.trainer.append(keyword("log_every_n_steps", cst.Integer("500")))
        return listed[0].value if late and listed else None

    def _plan_statements(self, plan: Plan, uses: Sequence[cst.CSTNode], given: GivenArguments) -> None:
        """The edits of the statement that makes the trainer, and of those that use it."""
        early = self._uses.needed_early(uses)
        trains = any(self._uses.method(use) == "train" or self._uses.windows(use) is not None for use in uses)
        self._edits[plan.statement] = lambda updated: self._emit.trainer(
            updated, plan, given.source if given.inline else None, make=early or not plan.renew, trains=trains
        )
        for use in uses:
            if self._uses.method(use) == "predict":
                self._plan_answers(use, plan)
        for use in uses:
            if use not in self._planned:
                self._plan_use(use, plan)

    def _added(self, use: cst.CSTNode) -> MovedClass | None:
        """The class of a callback that the trainer is given later, if it is one that has moved."""
        attribute = self._uses.attribute(use)
        call = self.parent(attribute) if attribute is not None else None
        return (
            added(self, call) if self._uses.method(use) is not None and isinstance(call, cst.Call) else None
        )

    def _trained(self, model: cst.BaseExpression) -> MovedTrainer | None:
        """What a trainer of the program's own has become, if it is such a model that is trained."""
        made = self.origin(model)
        return self.program.models.get(code(made.func)) if isinstance(made, cst.Call) else None

    def _read_arguments(
        self, names: set[str], given: GivenArguments, at: cst.CSTNode
    ) -> cst.BaseExpression | None:
        """The training arguments that methods of the program read, by name; what is missing is marked."""
        if not names or given.parsed:
            return given.node if names else None
        known = {**ALWAYS, **WHERE_MENTIONED}
        args = []
        for name in sorted(names):
            if name not in given.fields and name not in known:
                self._mark_at(
                    at,
                    f"a method of its own reads the training argument {name}, which is not given: give it to "
                    "the model's args",
                )
                continue
            field = given.fields.get(name)
            value = field.value if field is not None else cst.parse_expression(known[name][1])
            if is_plain(value):
                args.append(keyword(name, value))
            else:
                self._mark_at(
                    at,
                    f"a method of its own reads {name}, which is computed in the arguments: give it to "
                    "the model's args",
                )
        self.program.imports.add("types")
        return cst.Call(cst.parse_expression("types.SimpleNamespace"), args)

    def _plan_options(self, given: GivenArguments, training: Training) -> str:
        """Name of the variable with the options of ``lightning.Trainer``."""
        if given.parsed or not isinstance(given.node, cst.Name):
            return self.program.free("trainer_options")
        statement = self.statement_of(given.source)
        if not isinstance(statement, cst.SimpleStatementLine) or len(statement.body) != 1:
            raise ValueError("the training arguments are not a statement of their own")
        self._edits[statement] = lambda updated: [self._emit.options(updated, given.source, training)]
        for use in self.uses(given.node):
            if isinstance(self.parent(use), cst.Attribute):
                self._mark_at(use, "the training arguments are a dict of Lightning's options now")
        return given.node.value

    def _plan_use(self, use: cst.CSTNode, plan: Plan) -> None:
        statement = self.statement_of(use)
        if self._uses.is_deleted(use):
            return
        of_windows = self._uses.windows(use)
        if of_windows is not None:
            line, given, result = of_windows
            self._edits[line] = lambda updated: windows(self._emit, updated, plan, given, result)
            return
        attribute = self._uses.attribute(use)
        if (
            not isinstance(statement, cst.SimpleStatementLine)
            or attribute is None
            or len(statement.body) != 1
        ):
            self._mark_at(use, "the trainer is Lightning's now")
            return
        if self.scope(use) is not self.scope(self._edited(plan)):
            self._mark_at(use, "the trainer is used in another function than the one that makes it")
            return
        small = statement.body[0]
        attr = attribute.attr.value
        method = self._uses.method(use)
        call = self.parent(attribute) if method else None
        whole = isinstance(small, cst.Expr) and small.value is call
        bound = bind(call, ("eval_dataset",)) if isinstance(call, cst.Call) else None
        if self._uses.sets_data(attribute, small):
            self._edits[statement] = lambda updated: [self._emit.loader(updated, plan, attr)]
        elif (method == "reset_lr_scheduler" and whole) or self._uses.counts_steps(attr, small):
            self._edits[statement] = lambda updated: [self.dropped(updated)]
        elif isinstance(call, cst.Call) and whole and self._added(use) is not None:
            self._edits[statement] = lambda updated: [self._emit.add_callback(updated, plan, call.args[0])]
        elif method == "train" and whole and bound == {} and "train_dataset_or_path" in plan.fed:
            self._edits[statement] = lambda updated: self._emit.fit(updated, plan)
        elif (
            isinstance(call, cst.Call)
            and method == "evaluate"
            and bound is not None
            and set(bound) <= {"metric_key_prefix"}
            and "eval_dataset_or_path" in plan.fed
        ):
            self._calls[call] = lambda: self._emit.validate(plan)
        else:
            known = find(f"transformers4rec.torch.Trainer.{attr}")
            new = known.replacement if known is not None else ""
            becomes = f"becomes {new}, which cannot" if new else "has no successor that can"
            self._mark_at(use, f"the trainer's {attr} {becomes} be written by itself")

    def _plan_answers(self, use: cst.CSTNode, plan: Plan) -> None:
        """``trainer.predict(data)``, of which only ``predictions`` are looked at."""
        attribute = self._uses.attribute(use)
        call = self.parent(attribute) if attribute is not None else None
        given = bind(call, ("test_dataset",)) if isinstance(call, cst.Call) else None
        if not isinstance(call, cst.Call) or given is None or set(given) != {"test_dataset"}:
            return
        value, within = given["test_dataset"].value, None
        if isinstance(value, cst.Attribute) and value.attr.value in DATASETS:
            if code(value.value) != plan.name or value.attr.value not in plan.fed:
                return
            within = value.value
        looked_at = places_of_predictions(self, call)
        if not looked_at or not answers_items(self, plan.model) or code(plan.answers) in ("0", "None"):
            return
        self._planned |= {use} if within is None else {use, within}
        name = DATASETS.get(value.attr.value) if within is not None else None  # type: ignore[attr-defined]
        self._calls[call] = lambda: self._emit.answers(plan, name, value)
        for node in looked_at:
            held = None if node.value is call else code(node.value)
            self._attributes[node] = functools.partial(self._columns, held, self._calls[call])

    def _columns(self, table: str | None, made: Callable[[], cst.BaseExpression]) -> cst.BaseExpression:
        """``predictions`` of a table that a variable holds, or of one that is made there."""
        return self._emit.columns(code(made()) if table is None else table)

    @staticmethod
    def _edited(plan: Plan) -> cst.CSTNode:
        assign = plan.statement.body[0]
        return assign.targets[0].target if isinstance(assign, cst.Assign) else plan.statement
