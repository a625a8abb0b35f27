"""Calls of a model in loops of the program's own, and ``Model.fit`` and ``Model.evaluate``."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst
from libcst import metadata as meta

from merlin_migrate.codemod.follow import is_inputs, is_model
from merlin_migrate.codemod.layout import bind, code, keyword, renamed, with_args
from merlin_migrate.codemod.model_parts import model_part, task_of
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule

FORWARD = ("inputs", "targets", "training", "testing")
FIT = (
    "dataloader",
    "optimizer",
    "eval_dataloader",
    "num_epochs",
    "amp",
    "train",
    "verbose",
    "compute_metric",
)
EVALUATE = ("dataloader", "targets", "training", "testing", "verbose", "mode")
PLANS = {"train": "for_training", "evaluate": "for_evaluation", "predict": "for_prediction"}
PLANNED = {"masked_targets": "targets", "mask_schema": "replaced"}
PARTS = {"loss": "loss", "predictions": "scores", "labels": "targets"}
ANCHOR = "loaders-and-loops"


def _only_call(line: cst.SimpleStatementLine) -> cst.Call:
    """The call that a statement consists of."""
    (small,) = line.body
    if not isinstance(small, cst.Expr) or not isinstance(small.value, cst.Call):
        raise TypeError(f"{code(line).strip()} is no call")
    return small.value


class LoopsRule(Rule):
    """A step of a loop becomes an ``mm.Step``; what the model did itself becomes Lightning's."""

    number: ClassVar[str] = "MM111"
    title: ClassVar[str] = "loops"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._steps: set[str] = set()
        self._legacy = False
        # Statements that call an input block, and the variable for the plan that each makes.
        self._plans: dict[cst.CSTNode, str] = {}
        self._planned: dict[str, str] = {}

    def visit_Module(self, node: cst.Module) -> None:
        """Finds the variables that hold what a model gave for a batch."""
        imports = (*self.tree.all_of(cst.Import), *self.tree.all_of(cst.ImportFrom))
        self._legacy = any("transformers4rec" in code(each) for each in imports)
        if not self._legacy:
            return
        for call in self.calls():
            above = self.parent(call)
            mode = self._mode(call) if is_model(self, call.func) else None
            if mode in ("train", "evaluate") and isinstance(above, cst.Assign) and len(above.targets) == 1:
                target = above.targets[0].target
                if isinstance(target, cst.Name) and self._always_a_step(target):
                    self._steps.add(target.value)
            if isinstance(above, cst.Expr) and is_inputs(self, call.func) and self._mode(call) is not None:
                line, name = self.parent(above), code(call.func)
                if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
                    self._plans[line] = self._planned.setdefault(name, self.program.free("planned"))

    def _plan_statement(
        self, original: cst.SimpleStatementLine, updated: cst.SimpleStatementLine
    ) -> cst.BaseStatement:
        """``planned = inputs.for_evaluation(batch)``."""
        call, new = _only_call(original), _only_call(updated)
        given = (bind(new, FORWARD) or {})["inputs"].value
        batch = cst.Call(self.api("Batch"), [cst.Arg(given)])
        plan = PLANS[str(self._mode(call))]
        made = cst.Call(cst.parse_expression(f"{code(call.func)}.{plan}"), [cst.Arg(batch)])
        self.done()
        target = cst.AssignTarget(cst.Name(self._plans[original]))
        return updated.with_changes(body=[cst.Assign([target], made)])

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """``inputs.masking.masked_targets``, and ``model.heads[0].body``."""
        if not self._legacy:
            return updated_node
        part_of_model = model_part(self, original_node, updated_node)
        if part_of_model is not None:
            return part_of_model
        name, _, part = code(original_node).rpartition(".masking.")
        if part not in PLANNED or not isinstance(original_node.value, cst.Attribute):
            return updated_node
        if name in self._planned:
            return cst.parse_expression(f"{self._planned[name]}.plan.{PLANNED[part]}")
        if is_inputs(self, original_node.value.value):
            self.mark(
                f"{part} of a masking is in the plan of a batch: inputs.for_evaluation(batch).plan", ANCHOR
            )
        return updated_node

    def _always_a_step(self, name: cst.Name) -> bool:
        scope = self.scope(name)
        bound = (
            [each.node for each in scope[name.value] if isinstance(each, meta.Assignment)] if scope else []
        )
        values = [self._plain(each) for each in bound]
        return all(
            assign is not None
            and isinstance(assign.value, cst.Call)
            and is_model(self, assign.value.func)
            and self._mode(assign.value) in ("train", "evaluate")
            for assign in values
        )

    @staticmethod
    def _mode(call: cst.Call) -> str | None:
        """What a model was called for; None if that cannot be told."""
        bound = bind(call, FORWARD)
        if bound is None or "inputs" not in bound or set(bound) - {*FORWARD}:
            return None
        flags = [code(bound[name].value) if name in bound else "False" for name in ("training", "testing")]
        if not set(flags) <= {"True", "False"}:
            return None
        return "train" if flags[0] == "True" else "evaluate" if flags[1] == "True" else "predict"

    def leave_Subscript(
        self, original_node: cst.Subscript, updated_node: cst.Subscript
    ) -> cst.BaseExpression:
        """``output["loss"]``, and the task of a head."""
        model = task_of(self, original_node)
        if model is not None:
            self.done()
            return cst.Attribute(model, cst.Name("output"))
        name = original_node.value
        if not isinstance(name, cst.Name) or name.value not in self._steps:
            return updated_node
        key = code(original_node.slice[0]).strip("'\"") if len(original_node.slice) == 1 else ""
        if key not in PARTS:
            self.mark(f"{code(original_node)} has no successor: a step has loss, scores and targets", ANCHOR)
            return updated_node
        return cst.Attribute(updated_node.value, cst.Name(PARTS[key]))

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """One call of a model, or of one of its methods."""
        func = original_node.func
        if not self._legacy:
            return updated_node
        try:
            if is_model(self, func):
                return self._called(original_node, updated_node)
            if isinstance(func, cst.Attribute) and is_model(self, func.value):
                return self._method(func.attr.value, original_node, updated_node)
            if self._may_be_a_model(original_node):
                self.mark(
                    f"if {code(func)} is a model: mm.Step({code(func)}, batch, mode) has its loss", ANCHOR
                )
        except ValueError as error:
            self.mark(str(error), ANCHOR)
        return updated_node

    def _may_be_a_model(self, call: cst.Call) -> bool:
        """Whether something unknown, such as an argument of a function, is called as an old model was."""
        names = {arg.keyword.value for arg in call.args if arg.keyword}
        flags = {"training", "testing"}
        unknown = isinstance(call.func, cst.Name) and self.origin(call.func) is None
        return bool(unknown and names & flags and names <= {*FORWARD} and self.function(call.func) is None)

    def _called(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        bound = bind(call, FORWARD)
        mode = self._mode(original)
        if bound is None or mode is None:
            raise ValueError("a model is called with a batch only: mm.Step(model, batch, mode) has its loss")
        batch = cst.Arg(bound["inputs"].value)
        if mode == "predict":
            if len(call.args) > 1:
                self.done()
            return call.with_changes(args=[batch])
        above = self.parent(original)
        target = above.targets[0].target if isinstance(above, cst.Assign) else None
        if not isinstance(target, cst.Name) or target.value not in self._steps:
            raise ValueError(
                "what a model gives in training or evaluation is followed through a variable of its own only"
            )
        self.done()
        return cst.Call(self.api("Step"), [cst.Arg(call.func), batch, cst.Arg(cst.SimpleString(f'"{mode}"'))])

    def _method(self, name: str, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        model = code(call.func.value)  # type: ignore[attr-defined]
        evaluation = f'{model}.evaluations["val"]'
        if name == "reset_metrics" and not call.args:
            self.done()
            return cst.parse_expression(f"{evaluation}.reset()")
        if name == "compute_metrics" and not call.args:
            self.done()
            return cst.parse_expression(f"{evaluation}.compute()")
        if name == "calculate_metrics":
            return self._measured(original, evaluation)
        if name == "evaluate":
            return self._evaluated(call, model)
        if name == "save":
            return self._saved(call)
        return call

    def _saved(self, call: cst.Call) -> cst.BaseExpression:
        """``model.save(folder)``, which wrote over what an earlier run had left."""
        if any(arg.keyword is not None and arg.keyword.value == "overwrite" for arg in call.args):
            return call
        bound = bind(call, ("path", "model_name"))
        if bound is None or set(bound) != {"path"}:
            raise ValueError("a model is saved as a folder, without model_name: model.save(folder)")
        folder = code(bound["path"].value)
        named = [arg for each in self.calls() for arg in each.args if arg.keyword is not None]
        if any(arg.keyword.value == "default_root_dir" and code(arg.value) == folder for arg in named):  # type: ignore[union-attr]
            self.mark(
                "a model is saved to a folder of its own, not to that of the trainer: name another", ANCHOR
            )
        self.done()
        return with_args(call, [renamed(bound["path"], None), keyword("overwrite", cst.Name("True"))])

    def _measured(self, original: cst.Call, evaluation: str) -> cst.BaseExpression:
        """``model.calculate_metrics(output["predictions"], output["labels"])``."""
        if not isinstance(self.parent(original), cst.Expr):
            raise ValueError("metrics of a single batch have no successor: compute() gives those of all")
        bound = bind(original, ("predictions", "targets"))
        parts = (
            [bound[name].value for name in ("predictions", "targets")] if bound and len(bound) == 2 else []
        )
        steps = [part.value for part in parts if isinstance(part, cst.Subscript)]
        names = {step.value for step in steps if isinstance(step, cst.Name)}
        if len(steps) != 2 or len(names) != 1 or not names <= self._steps:
            raise ValueError("metrics take a whole step: step.update(model.evaluations['val'])")
        self.done()
        return cst.parse_expression(f"{names.pop()}.update({evaluation})")

    def _evaluated(self, call: cst.Call, model: str) -> cst.BaseExpression:
        bound = bind(call, EVALUATE)
        if bound is None or "dataloader" not in bound:
            raise ValueError("the arguments of evaluate cannot be followed")
        flags = [
            code(bound[name].value) if name in bound else default
            for name, default in (("training", "False"), ("testing", "True"))
        ]
        if flags != ["False", "True"]:
            raise ValueError("evaluate of anything but evaluation has no successor")
        verbose = bound["verbose"].value if "verbose" in bound else cst.Name("True")
        self.done()
        trainer = self._trainer(None, verbose)
        measured = cst.Call(
            cst.Attribute(trainer, cst.Name("validate")),
            [
                cst.Arg(cst.parse_expression(model)),
                cst.Arg(bound["dataloader"].value),
                keyword("verbose", cst.Name("False")),
            ],
        )
        return cst.Subscript(measured, [cst.SubscriptElement(cst.Index(cst.Integer("0")))])

    def _trainer(self, epochs: cst.BaseExpression | None, verbose: cst.BaseExpression) -> cst.Call:
        self.program.imports.add("lightning")
        args = [keyword("max_epochs", epochs)] if epochs is not None else []
        args += [
            keyword("logger", cst.Name("False")),
            *([keyword("enable_checkpointing", cst.Name("False"))] if epochs is not None else []),
            keyword("enable_progress_bar", verbose),
        ]
        return cst.Call(cst.parse_expression("lightning.Trainer"), args)

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """``model.fit(...)`` as a statement, or an input block that is called for what its masking says."""
        if original_node in self._plans:
            return self._plan_statement(original_node, updated_node)
        small = original_node.body[0] if len(original_node.body) == 1 else None
        call = small.value if isinstance(small, cst.Expr) else None
        func = call.func if isinstance(call, cst.Call) else None
        fits = isinstance(func, cst.Attribute) and func.attr.value == "fit" and is_model(self, func.value)
        if not self._legacy or not isinstance(func, cst.Attribute) or not fits:
            return updated_node
        try:
            lines = self._fit(_only_call(updated_node), code(func.value))
        except ValueError as error:
            self.mark(str(error), ANCHOR)
            return updated_node
        self.done()
        lines[0] = lines[0].with_changes(leading_lines=updated_node.leading_lines)
        lines[-1] = lines[-1].with_changes(trailing_whitespace=updated_node.trailing_whitespace)
        return cst.FlattenSentinel(lines)

    def _fit(self, call: cst.Call, model: str) -> list[cst.SimpleStatementLine]:
        bound = bind(call, FIT)
        if bound is None or "dataloader" not in bound:
            raise ValueError("the arguments of fit cannot be followed")
        plain = {"eval_dataloader": "None", "amp": "False", "train": "True"}
        for name, only in plain.items():
            if name in bound and code(bound[name].value) != only:
                raise ValueError(
                    f"the argument {name} of fit has no successor: lightning.Trainer has its own"
                )
        if "optimizer" in bound and not self._is_class(bound["optimizer"].value):
            optimizer = code(bound["optimizer"].value)
        else:
            self.program.imports.add("torch")
            cls = code(bound["optimizer"].value) if "optimizer" in bound else "torch.optim.Adam"
            optimizer = f"{cls}({model}.parameters())"
        epochs = bound["num_epochs"].value if "num_epochs" in bound else cst.Integer("1")
        verbose = bound["verbose"].value if "verbose" in bound else cst.Name("True")
        trainer = self.program.free("trainer")
        fitted = cst.Call(
            cst.parse_expression(f"{trainer}.fit"),
            [cst.Arg(cst.parse_expression(model)), cst.Arg(bound["dataloader"].value)],
        )
        made = cst.Assign([cst.AssignTarget(cst.Name(trainer))], self._trainer(epochs, verbose))
        first = cst.parse_statement(f"{model}.optimizer = {optimizer}")
        lines = [first, cst.SimpleStatementLine([made]), cst.SimpleStatementLine([cst.Expr(fitted)])]
        return [line for line in lines if isinstance(line, cst.SimpleStatementLine)]

    def _is_class(self, node: cst.BaseExpression) -> bool:
        return (self.qualified(node) or "").startswith("torch.optim.")
