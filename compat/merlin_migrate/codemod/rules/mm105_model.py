"""``Head`` and ``Model`` to one ``Model``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.follow import made
from merlin_migrate.codemod.layout import bind, code, fit, is_plain, keyword, operand, renamed, with_args
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.targets import OUTPUTS

TR = "transformers4rec.torch"
HEAD = ("body", "prediction_tasks", "task_blocks", "task_weights", "loss_reduction", "inputs")
SEVERAL = "TabularOutputBlock"


class ModelRule(Rule):
    """Head and model become one ``mm.Model``, once the head's task is an output of the new API."""

    number: ClassVar[str] = "MM105"
    title: ClassVar[str] = "head and model"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._folded: set[cst.CSTNode] = set()

    def visit_Module(self, node: cst.Module) -> None:
        """Finds the heads that go into a model."""
        for call in self.calls():
            if self.is_call_of(call, f"{TR}.Model") and len(call.args) == 1:
                self._plan_head(call)

    def _plan_head(self, model: cst.Call) -> None:
        name = model.args[0].value
        statement = self.assignment(name)
        if statement is None or not isinstance(name, cst.Name):
            return
        line = self.parent(statement)
        alone = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
        if alone and self._head(statement.value) is not None and len(self.uses(name)) == 1:
            self._folded.add(statement)

    def _head(self, node: cst.BaseExpression | None) -> tuple[cst.Arg, cst.Arg] | None:
        """Body and output of a head with one output and nothing else."""
        if not isinstance(node, cst.Call) or not self.is_call_of(node, f"{TR}.Head"):
            return None
        bound = bind(node, HEAD)
        if bound is None or not {"body", "prediction_tasks"} <= set(bound) <= {
            "body",
            "prediction_tasks",
            "inputs",
        }:
            return None
        task = self.origin(bound["prediction_tasks"].value)
        if isinstance(task, (cst.List, cst.Tuple)) and len(task.elements) == 1:
            task = self.origin(task.elements[0].value)
        if not self._is_output(task):
            task = made(self, task)
        if not self._is_output(task):
            return None
        return bound["body"], bound["prediction_tasks"]

    def _is_output(self, node: cst.BaseExpression | None) -> bool:
        return any(self._is_new(node, output) for output in (*OUTPUTS, "CategoricalOutput"))

    def _several(self, node: cst.BaseExpression | None) -> tuple[cst.Arg, cst.Call] | None:
        """Body of a head of several tasks, and what the tasks become together."""
        if not isinstance(node, cst.Call) or not self.is_call_of(node, f"{TR}.Head"):
            return None
        bound = bind(node, HEAD)
        if bound is None or not {"body", "prediction_tasks"} <= set(bound) or "task_blocks" in bound:
            return None
        display = self.origin(bound["prediction_tasks"].value)
        if (
            not isinstance(display, cst.List)
            or len(display.elements) < 2
            or not is_plain(bound["body"].value)
        ):
            return None
        names = [self._target(self.origin(element.value)) for element in display.elements]
        if any(name is None for name in names):
            return None
        weights = self._weights(bound, [name for name in names if name is not None])
        args = [renamed(bound["prediction_tasks"], None), keyword("loss_weights", weights)]
        return bound["body"], with_args(node.with_changes(func=self.api(SEVERAL)), args)

    def _target(self, task: cst.BaseExpression | None) -> cst.BaseExpression | None:
        """Under which name an output stands among several."""
        if self._is_new(task, "CategoricalOutput"):
            return cst.SimpleString('"next_item"')
        if isinstance(task, cst.Call) and any(self._is_new(task, output) for output in OUTPUTS):
            return task.args[0].value
        return None

    def _weights(self, bound: Mapping[str, cst.Arg], names: Sequence[cst.BaseExpression]) -> cst.Dict:
        """The weights of the losses by target: the old head took their mean, the new one their sum."""
        given = self.origin(bound["task_weights"].value) if "task_weights" in bound else None
        weights: list[cst.BaseExpression] = [cst.Float("1.0") for _ in names]
        if given is not None and code(given) != "None":
            if not isinstance(given, cst.List) or len(given.elements) != len(names):
                raise ValueError("task_weights is not a list written in the same function, one a task")
            weights = [element.value for element in given.elements]
        reduction = code(bound["loss_reduction"].value).strip("'\"") if "loss_reduction" in bound else "mean"
        if reduction not in ("mean", "sum"):
            raise ValueError(f"loss_reduction={reduction} has no successor")
        if reduction == "mean":
            count = cst.Integer(str(len(names)))
            weights = [cst.BinaryOperation(operand(weight), cst.Divide(), count) for weight in weights]
        return cst.Dict([cst.DictElement(n, w) for n, w in zip(names, weights, strict=True)])

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement:
        """The statement ``head = tr.Head(...)`` goes away where the model takes its parts."""
        if len(original_node.body) == 1 and original_node.body[0] in self._folded:
            return self.dropped(updated_node)
        return updated_node

    def _is_new(self, node: cst.BaseExpression | None, name: str) -> bool:
        """Whether a rule before this one made the node a call of ``mm.name``."""
        return isinstance(node, cst.Call) and code(node.func) == f"{self.program.alias}.{name}"

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """One model."""
        try:
            if self.is_call_of(original_node, f"{TR}.Model"):
                return self._model(original_node, updated_node)
            if self.is_call_of(original_node, f"{TR}.Head") and (found := self._several(original_node)):
                self.done()
                return fit(found[1], column=self.column(original_node), block=self.depth(original_node))
            if self._is_loading(original_node):
                self.done()
                return updated_node.with_changes(func=self.api("load"))
            if self._is_to_model(original_node):
                return self._to_model(updated_node)
        except ValueError as error:
            self.mark(str(error), "model")
        return updated_node

    def _model(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        if len(call.args) != 1 or call.args[0].keyword:
            raise ValueError("a model of several heads, or with further arguments, has no successor yet")
        value = original.args[0].value
        inline = isinstance(value, cst.Call)
        several = self._several(value if inline else self.origin(value))
        if several is not None:
            self.done()
            comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
            body = cst.Arg(several[0].value, comma=comma)
            return cst.Call(self.api("Model"), [body, cst.Arg(call.args[0].value)])
        found = self._head(value if inline else self.origin(value))
        if found is None or (not inline and self.assignment(value) not in self._folded):
            raise ValueError(
                "a model is rewritten with its head, the tasks of which are rewritten, in one function"
            )
        if inline:
            bound = bind(call.args[0].value, HEAD) or {}  # type: ignore[arg-type]
            found = bound["body"], bound["prediction_tasks"]
        body, task = found
        output = task.value
        if isinstance(output, (cst.List, cst.Tuple)):
            output = output.elements[0].value
        self.done()
        return cst.Call(
            self.api("Model"),
            [
                cst.Arg(body.value, comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))),
                cst.Arg(output),
            ],
        )

    def _is_loading(self, call: cst.Call) -> bool:
        """Whether a call is ``Model.load(folder)``."""
        func = call.func
        if not isinstance(func, cst.Attribute) or func.attr.value != "load" or len(call.args) != 1:
            return False
        entry = self.entry(func.value)
        return entry is not None and entry.name == f"{TR}.Model" and call.args[0].keyword is None

    def _is_to_model(self, call: cst.Call) -> bool:
        func = call.func
        if not isinstance(func, cst.Attribute) or func.attr.value != "to_torch_model":
            return False
        source = self.origin(func.value)
        return any(self._is_body(node) or self._is_body(made(self, node)) for node in self._choices(source))

    def _is_body(self, node: cst.BaseExpression | None) -> bool:
        return self._is_new(node, "XLNetBlock") or self._is_new(node, "HuggingFaceBlock")

    def _choices(self, node: cst.BaseExpression | None) -> list[cst.BaseExpression]:
        """What an expression may make: itself, or the bodies of functions that it picks from a dict."""
        if node is None:
            return []
        picked = node.func if isinstance(node, cst.Call) else None
        display = self.origin(picked.value) if isinstance(picked, cst.Subscript) else None
        if not isinstance(display, cst.Dict):
            return [node]
        return [e.value.body for e in display.elements if isinstance(e.value, cst.Lambda)]

    def _to_model(self, call: cst.Call) -> cst.BaseExpression:
        if len(call.args) != 2 or any(arg.keyword or arg.star for arg in call.args):
            raise ValueError("to_torch_model with anything but inputs and one task has no successor yet")
        inputs, task = call.args
        config = call.func.value  # type: ignore[attr-defined]
        body = cst.Call(self.api("Block"), [cst.Arg(inputs.value), cst.Arg(config)])
        self.done()
        return cst.Call(self.api("Model"), [cst.Arg(body), cst.Arg(task.value)])
