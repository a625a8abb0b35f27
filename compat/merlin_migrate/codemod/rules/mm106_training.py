"""``T4RecTrainingArguments`` and ``Trainer`` to ``lightning.Trainer``, with its idiom of time windows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import libcst as cst
from libcst import metadata as meta

from merlin_migrate.codemod.arguments import Training, parsed_fields, sorted_arguments
from merlin_migrate.codemod.emit import DATASETS, Callbacks, Emitter, Plan
from merlin_migrate.codemod.layout import bind, code, is_plain, keyword
from merlin_migrate.codemod.rule import Program, Rule
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
from merlin_migrate.table import find

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
FIT_AND_EVALUATE = "transformers4rec.torch.utils.examples_utils.fit_and_evaluate"
WIPE_MEMORY = "transformers4rec.torch.utils.examples_utils.wipe_memory"
WITHOUT_EFFECT = {"compute_metrics", "incremental_logging"}

Edit = Callable[[cst.SimpleStatementLine], Sequence[cst.BaseStatement]]


class TrainingRule(Rule):
    """A trainer that is kept in a variable, with its arguments, and the statements that use it."""

    number: ClassVar[str] = "MM106"
    title: ClassVar[str] = "training"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._emit = Emitter(self)
        self._edits: dict[cst.CSTNode, Edit] = {}
        self._calls: dict[cst.CSTNode, Callable[[], cst.BaseExpression]] = {}
        self._attributes: dict[cst.CSTNode, Callable[[], cst.BaseExpression]] = {}
        self._reasons: dict[cst.CSTNode, list[str]] = {}
        # Uses of a trainer within an argument of its own method, which is planned as a whole.
        self._planned: set[cst.CSTNode] = set()

    # Planning

    def visit_Module(self, node: cst.Module) -> None:
        """Plans all edits before anything changes."""
        for call in self.calls():
            if self._is_trainer(call):
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
        parsed = self.program.parsed.get(code(bound["args"].value))
        source: cst.BaseExpression | None = cst.Call(cst.Name("dict"))
        given: dict[str, cst.Arg] | None = None
        if parsed is None:
            source = self.origin(bound["args"].value)
            if self.is_call_of(source, ARGUMENTS):
                given = bind(source, ("output_dir",))  # type: ignore[arg-type]
        else:
            name = code(bound["args"].value)
            given = parsed_fields(name, self.program.arguments[parsed], self.program.given.get(name, {}))
        if not isinstance(source, cst.Call) or (parsed is None and not self.is_call_of(source, ARGUMENTS)):
            raise ValueError("the training arguments are not made in the same function")
        if given is None:
            raise ValueError("training arguments that come from * or ** cannot be followed")
        model, made = bound["model"].value, None
        if isinstance(model, cst.Call):
            model, made = cst.Name(self.program.free("trained_model")), model
        if not isinstance(model, cst.Name):
            raise ValueError("the trainer's model is not a variable")
        uses = self.uses(target)
        windows = [use for use in uses if self._windows(use) is not None]
        renew = (
            bool(windows)
            or sum(self._method(use) == "train" for use in uses) > 1
            or any(self._method(use) == "train" and self._in_loop(use) for use in uses)
        )
        trained = self._trained(model if made is None else made)
        training = sorted_arguments(given, carry_over=renew)
        for name, value in training.loaders.items():
            if not is_plain(value):
                raise ValueError(f"{name} is computed in the training arguments: give it a name before them")
        made_at = call if parsed is not None else source
        callbacks = callbacks_of(self, bound.get("callbacks"), training)
        if callbacks is not None:
            del bound["callbacks"]
        if training.monitor is not None and (
            renew or "eval_dataset_or_path" not in {*bound, *map(self._set, uses)}
        ):
            raise ValueError("the best model is kept in one training with data to evaluate on only")
        own = callbacks or Callbacks()
        own.classes += [each for use in uses if (each := self._added(use)) is not None]
        listed = self._emit.callbacks(training, own, made_at)
        late = not all(is_made_before(self, each.value, made_at) for each in own.elements)
        training.trainer += [] if late else listed
        if "logging_steps" not in given and any(each.logs for each in own.classes):
            # Lightning's own is 50.
            training.trainer.append(keyword("log_every_n_steps", cst.Integer("500")))
        acting = [*own.classes, *([trained] if trained is not None else [])]
        if training.monitor is not None and any(each.evaluates for each in acting):
            training.trainer.append(keyword("num_sanity_val_steps", cst.Integer("0")))
        read = {name for each in acting for name in each.arguments}
        options = self._plan_options(source if parsed else bound["args"].value, source, training, line)
        plan = Plan(target.value, line, model, bound["schema"].value, options, training, renew, made)
        plan.trained = trained
        plan.late = listed[0].value if late and listed else None
        plan.answers = given["predict_top_k"].value if "predict_top_k" in given else cst.Integer("100")
        if read:
            plan.arguments = bound["args"].value if parsed else self._read_arguments(read, given)
        if "output_dir" in given and self._written_to(given["output_dir"].value):
            plan.folder = given["output_dir"].value
        plan.data = {name: bound[name].value for name in DATASETS if name in bound}
        if windows and "max_sequence_length" not in training.loaders:
            raise ValueError("fit_and_evaluate is written out with max_sequence_length given only")
        plan.fed = {*plan.data, *(a.attr.value for a in map(self._attribute, uses) if a is not None)}
        others = set(bound) - {*PARAMETERS} - WITHOUT_EFFECT
        for name in sorted(others):
            self._mark_at(call, f"left out, no successor: {name}; callbacks and loggers are Lightning's")
        for reason in training.reasons:
            self._mark_at(made_at, reason)
        early = self._needed_early(uses)
        inline = parsed is not None or source is bound["args"].value
        trains = any(self._method(use) == "train" or use in windows for use in uses)
        self._edits[line] = lambda updated: self._emit.trainer(
            updated, plan, source if inline else None, make=early or not renew, trains=trains
        )
        for use in uses:
            if self._method(use) == "predict":
                self._plan_answers(use, plan)
        for use in uses:
            if use not in self._planned:
                self._plan_use(use, plan)

    def _written_to(self, folder: cst.BaseExpression) -> bool:
        """Whether the program itself seems to write to the trainer's folder, and does not make it."""
        if any(code(call.func).endswith(("makedirs", "mkdir")) for call in self.calls()):
            return False
        below = folder
        if isinstance(folder, cst.Call) and code(folder.func) == "os.path.join" and folder.args:
            below = folder.args[0].value
        if isinstance(below, cst.SimpleString):
            text = str(below.evaluated_value)
            others = (n for n in self.tree.nodes if isinstance(n, cst.SimpleString) and n is not below)
            return any((str(n.evaluated_value) + "/").startswith(f"{text}/") for n in others)
        if not isinstance(below, (cst.Name, cst.Attribute)):
            return False
        given = (arg.value for call in self.calls() for arg in call.args)
        return any(value is not below and code(value) == code(below) for value in given)

    def _is_trainer(self, call: cst.Call) -> bool:
        """Whether a trainer is made: the old one, or one of the program's own that builds on it."""
        if self.is_call_of(call, TRAINER):
            return True
        scope = self.scope(call) if isinstance(call.func, cst.Name) else None
        bound = [b.node for b in scope[call.func.value] if isinstance(b, meta.Assignment)] if scope else []  # type: ignore[attr-defined]
        owner = bound[0] if len(bound) == 1 else None
        bases = owner.bases if isinstance(owner, cst.ClassDef) else []
        entries = [self.entry(base.value) for base in bases]
        return any(entry is not None and entry.name == TRAINER for entry in entries)

    def _added(self, use: cst.CSTNode) -> MovedClass | None:
        """The class of a callback that the trainer is given later, if it is one that has moved."""
        attribute = self._attribute(use)
        call = self.parent(attribute) if attribute is not None else None
        return added(self, call) if self._method(use) is not None and isinstance(call, cst.Call) else None

    def _trained(self, model: cst.BaseExpression) -> MovedTrainer | None:
        """What a trainer of the program's own has become, if it is such a model that is trained."""
        made = self.origin(model)
        return self.program.models.get(code(made.func)) if isinstance(made, cst.Call) else None

    def _read_arguments(self, names: set[str], given: Mapping[str, cst.Arg]) -> cst.BaseExpression:
        """The training arguments that methods of the program read, by name."""
        self.program.imports.add("types")
        known = {**ALWAYS, **WHERE_MENTIONED}
        args = []
        for name in sorted(names):
            if name not in given and name not in known:
                raise ValueError(
                    f"a method of its own reads the training argument {name}, which is not given"
                )
            value = given[name].value if name in given else cst.parse_expression(known[name][1])
            if not is_plain(value):
                raise ValueError(f"{name} is computed in the training arguments: give it a name before them")
            args.append(keyword(name, value))
        return cst.Call(cst.parse_expression("types.SimpleNamespace"), args)

    def _set(self, use: cst.CSTNode) -> str | None:
        attribute = self._attribute(use)
        return attribute.attr.value if attribute is not None else None

    def _plan_options(
        self, given: cst.BaseExpression, source: cst.Call, training: Training, line: cst.SimpleStatementLine
    ) -> str:
        """Name of the variable with the options of ``lightning.Trainer``."""
        if not isinstance(given, cst.Name):
            return self.program.free("trainer_options")
        statement = self.statement_of(source)
        if not isinstance(statement, cst.SimpleStatementLine) or len(statement.body) != 1:
            raise ValueError("the training arguments are not a statement of their own")
        self._edits[statement] = lambda updated: [self._emit.options(updated, source, training)]
        for use in self.uses(given):
            if isinstance(self.parent(use), cst.Attribute):
                self._mark_at(use, "the training arguments are a dict of Lightning's options now")
        return given.value

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
            if self._is_deleted(use) or self._windows(use) is not None:
                continue
            attribute = self._attribute(use)
            known = attribute is not None and attribute.attr.value in (
                *DATASETS,
                "train",
                "evaluate",
                "reset_lr_scheduler",
                "state",
                "predict",
                "add_callback",
            )
            if not known:
                return True
        return not any(self._method(use) == "train" or self._windows(use) is not None for use in uses)

    def _plan_use(self, use: cst.CSTNode, plan: Plan) -> None:
        statement = self.statement_of(use)
        if self._is_deleted(use):
            return
        windows = self._windows(use)
        if windows is not None:
            line, given, result = windows
            self._edits[line] = lambda updated: self._emit.windows(updated, plan, given, result)
            return
        attribute = self._attribute(use)
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
        method = self._method(use)
        call = self.parent(attribute) if method else None
        whole = isinstance(small, cst.Expr) and small.value is call
        given = bind(call, ("eval_dataset",)) if isinstance(call, cst.Call) else None
        if self._sets_data(attribute, small):
            self._edits[statement] = lambda updated: [self._emit.loader(updated, plan, attr)]
        elif (method == "reset_lr_scheduler" and whole) or self._counts_steps(attr, small):
            self._edits[statement] = lambda updated: [self.dropped(updated)]
        elif isinstance(call, cst.Call) and whole and self._added(use) is not None:
            self._edits[statement] = lambda updated: [self._emit.add_callback(updated, plan, call.args[0])]
        elif method == "train" and whole and given == {} and "train_dataset_or_path" in plan.fed:
            self._edits[statement] = lambda updated: self._emit.fit(updated, plan)
        elif (
            isinstance(call, cst.Call)
            and method == "evaluate"
            and given is not None
            and set(given) <= {"metric_key_prefix"}
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
        attribute = self._attribute(use)
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

    def _is_deleted(self, use: cst.CSTNode) -> bool:
        above: cst.CSTNode | None = use
        while above is not None and not isinstance(above, cst.SimpleStatementLine):
            if isinstance(above, cst.Del):
                return True
            above = self.parent(above)
        return False

    def _windows(
        self, use: cst.CSTNode
    ) -> tuple[cst.SimpleStatementLine, dict[str, cst.BaseExpression], str | None] | None:
        """A call of ``fit_and_evaluate`` that gets the trainer, as a statement, with its arguments."""
        call = self.parent(use)
        call = self.parent(call) if isinstance(call, cst.Arg) else None
        if not isinstance(call, cst.Call) or not self.is_call_of(call, FIT_AND_EVALUATE):
            return None
        small, line = self.parent(call), self.statement_of(call)
        bound = bind(call, ("trainer", "start_time_index", "end_time_index", "input_dir"))
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1 or bound is None:
            return None
        given = {name: arg.value for name, arg in bound.items()}
        folder = given.get("input_dir")
        if (
            len(given) != 4
            or not isinstance(folder, (cst.Name, cst.Attribute))
            or given["trainer"] is not use
        ):
            return None
        if isinstance(small, cst.Return):
            return line, given, None
        if isinstance(small, cst.Assign) and len(small.targets) == 1:
            target = small.targets[0].target
            return (line, given, target.value) if isinstance(target, cst.Name) else None
        return None

    @staticmethod
    def _sets_data(attribute: cst.Attribute, small: cst.BaseSmallStatement) -> bool:
        if attribute.attr.value not in DATASETS or not isinstance(small, cst.Assign):
            return False
        return len(small.targets) == 1 and small.targets[0].target is attribute

    @staticmethod
    def _counts_steps(attr: str, small: cst.BaseSmallStatement) -> bool:
        if attr != "state" or not isinstance(small, cst.AugAssign):
            return False
        return code(small.target).endswith(".global_step")

    @staticmethod
    def _edited(plan: Plan) -> cst.CSTNode:
        assign = plan.statement.body[0]
        return assign.targets[0].target if isinstance(assign, cst.Assign) else plan.statement

    # Doing

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """``trainer.evaluate()`` within an expression, and ``wipe_memory()``."""
        if self.is_call_of(original_node, WIPE_MEMORY) and not original_node.args:
            self.done()
            self.program.imports.add("gc")
            return cst.parse_expression("gc.collect()")
        if self.qualified(original_node.func) == "torch.load" and self.program.checkpoints:
            return self._loaded(updated_node)
        make = self._calls.get(original_node)
        if make is None:
            return updated_node
        self.done()
        return make()

    def _loaded(self, call: cst.Call) -> cst.BaseExpression:
        """``torch.load`` of a file with weights that the old trainer wrote: Lightning's has them inside."""
        changed = call.visit(_Files())
        if not isinstance(changed, cst.Call) or code(changed) == code(call):
            return call
        self.done()
        weights = cst.SubscriptElement(cst.Index(cst.SimpleString('"state_dict"')))
        return cst.Subscript(changed, [weights])

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """``predictions`` of an answer."""
        make = self._attributes.get(original_node)
        return updated_node if make is None else make()

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


class _Files(cst.CSTTransformer):
    """The name of the file with weights in a checkpoint."""

    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.BaseExpression:
        """One string."""
        value = original_node.value
        if not value.strip("'\"").endswith("pytorch_model.bin"):
            return updated_node
        return updated_node.with_changes(value=value.replace("pytorch_model.bin", "pytorch_model.ckpt"))
