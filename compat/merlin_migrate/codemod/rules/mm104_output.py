"""Metrics, ``NextItemPredictionTask``, ``Head`` and ``Model``."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, fit, keyword, literal, renamed, with_args
from merlin_migrate.codemod.rule import Calls, Program, Rule

TR = "transformers4rec.torch"
METRICS = {
    f"{TR}.ranking_metric.NDCGAt": "ndcg",
    f"{TR}.ranking_metric.RecallAt": "recall",
    f"{TR}.ranking_metric.PrecisionAt": "precision",
    f"{TR}.ranking_metric.AvgPrecisionAt": "map",
    f"{TR}.ranking_metric.MeanReciprocalRankAt": "mrr",
}
DEFAULT_METRICS = ["ndcg", "map", "recall"]
DEFAULT_TOP_KS = (2, 5)
TASK_DEFAULT_TOP_KS = (10, 20)
TASK = (
    "loss",
    "metrics",
    "task_block",
    "task_name",
    "weight_tying",
    "softmax_temperature",
    "padding_idx",
    "target_dim",
    "sampled_softmax",
    "max_n_samples",
)
HEAD = ("body", "prediction_tasks", "task_blocks", "task_weights", "loss_reduction", "inputs")


class OutputRule(Rule):
    """A task becomes a :class:`CategoricalOutput`; head and model become one :class:`Model`."""

    number: ClassVar[str] = "MM104"
    title: ClassVar[str] = "metrics, task and model"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._folded: set[cst.CSTNode] = set()
        self._metrics: set[cst.CSTNode] = set()

    def visit_Module(self, node: cst.Module) -> None:
        """Finds what can be done as a whole: heads that go into a model, metrics that go into a task."""
        finder = Calls()
        node.visit(finder)
        for call in finder.calls:
            if self.is_call_of(call, f"{TR}.Model") and len(call.args) == 1:
                self._plan_head(call)
            if self.is_call_of(call, f"{TR}.NextItemPredictionTask"):
                self._plan_metrics(call)

    def _plan_head(self, model: cst.Call) -> None:
        name = model.args[0].value
        statement = self.assignment(name)
        if statement is None or not isinstance(name, cst.Name):
            return
        line = self.parent(statement)
        alone = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
        if alone and self._head(statement.value) is not None and len(self.uses(name)) == 1:
            self._folded.add(statement)

    def _plan_metrics(self, task: cst.Call) -> None:
        bound = bind(task, TASK)
        display = self.origin(bound["metrics"].value) if bound and "metrics" in bound else None
        if isinstance(display, (cst.List, cst.Tuple)):
            self._metrics.update(element.value for element in display.elements)

    def _head(self, node: cst.BaseExpression | None) -> tuple[cst.Arg, cst.Arg] | None:
        """Body and task of a head with one next-item task and nothing else."""
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
        if not self.is_call_of(task, f"{TR}.NextItemPredictionTask"):
            return None
        return bound["body"], bound["prediction_tasks"]

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement:
        """The statement ``head = tr.Head(...)`` goes away where the model takes its parts."""
        if len(original_node.body) == 1 and original_node.body[0] in self._folded:
            return self.dropped(updated_node)
        return updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """One metric, task, head or model."""
        try:
            if original_node in self._metrics:
                return self._metric(original_node, updated_node)
            if self.is_call_of(original_node, f"{TR}.NextItemPredictionTask"):
                task = self._task(original_node, updated_node)
                return fit(task, column=self.column(original_node), block=self.depth(original_node))
            if self.is_call_of(original_node, f"{TR}.Model"):
                return self._model(original_node, updated_node)
            if self._is_to_model(original_node):
                return self._to_model(updated_node)
        except ValueError as error:
            self.mark(str(error), "model")
        return updated_node

    def _metric(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        entry = self.entry(original.func)
        if entry is None or entry.name not in METRICS:
            raise ValueError(f"the metric {code(call.func)} has no successor")
        self.done()
        return cst.SimpleString(f'"{METRICS[entry.name]}"')

    def _top_ks(self, display: cst.List | cst.Tuple) -> list[int]:
        top_ks: set[int] = set()
        for element in display.elements:
            entry = self.entry(element.value.func) if isinstance(element.value, cst.Call) else None
            if entry is None or entry.name not in METRICS or not isinstance(element.value, cst.Call):
                raise ValueError(f"the metric {code(element.value)} has no successor")
            bound = bind(element.value, ("top_ks", "labels_onehot"))
            if bound is None:
                raise ValueError("the arguments of a metric cannot be followed")
            values = literal(bound["top_ks"].value) if "top_ks" in bound else DEFAULT_TOP_KS
            top_ks.update(int(str(k)) for k in (values if isinstance(values, (list, tuple)) else [values]))
        return sorted(top_ks)

    def _task(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        bound, before = bind(call, TASK), bind(original, TASK)
        if bound is None or before is None:
            raise ValueError("the arguments of NextItemPredictionTask cannot be followed")
        args = []
        for name, arg in bound.items():
            text = code(arg.value)
            if name == "metrics":
                args += self._task_metrics(before["metrics"], arg)
            elif name == "weight_tying":
                args.append(renamed(arg, name))
            elif name == "softmax_temperature":
                args.append(renamed(arg, "temperature"))
            elif name == "loss":
                args += self._loss(arg)
            elif name == "sampled_softmax" and text == "False":
                continue
            elif name not in ("target_dim", "padding_idx", "task_name", "max_n_samples") and text != "None":
                raise ValueError(f"the argument {name} of NextItemPredictionTask has no successor yet")
        if "metrics" not in bound:
            names = [cst.Element(cst.SimpleString(f'"{name}"')) for name in DEFAULT_METRICS]
            args += [keyword("metrics", cst.List(names)), keyword("top_ks", _numbers(TASK_DEFAULT_TOP_KS))]
        args.append(keyword("exclude", cst.Tuple([])))
        self.done()
        return with_args(call.with_changes(func=self.api("CategoricalOutput")), args)

    def _task_metrics(self, original: cst.Arg, arg: cst.Arg) -> list[cst.Arg]:
        display = self.origin(original.value)
        if not isinstance(display, (cst.List, cst.Tuple)):
            raise ValueError("the metrics are not a list written in the same function")
        top_ks = keyword("top_ks", _numbers(self._top_ks(display)))
        return [renamed(arg, "metrics"), top_ks] if display.elements else [renamed(arg, "metrics")]

    @staticmethod
    def _loss(arg: cst.Arg) -> list[cst.Arg]:
        text = code(arg.value)
        if text.endswith("CrossEntropyLoss()"):
            return []
        call = arg.value
        if isinstance(call, cst.Call) and text.rpartition("(")[0].endswith("LabelSmoothCrossEntropyLoss"):
            bound = bind(call, ("smoothing", "reduction"))
            if bound is not None and set(bound) <= {"smoothing"}:
                return [renamed(arg, "label_smoothing", bound["smoothing"].value)] if bound else []
        raise ValueError(f"the loss {text} has no successor yet")

    def _model(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        if len(call.args) != 1 or call.args[0].keyword:
            raise ValueError("a model of several heads, or with further arguments, has no successor yet")
        value = original.args[0].value
        inline = isinstance(value, cst.Call)
        found = self._head(value if inline else self.origin(value))
        if found is None or (not inline and self.assignment(value) not in self._folded):
            raise ValueError(
                "a model is rewritten with its head, of one NextItemPredictionTask, in one function"
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

    def _is_to_model(self, call: cst.Call) -> bool:
        func = call.func
        if not isinstance(func, cst.Attribute) or func.attr.value != "to_torch_model":
            return False
        source = self.origin(func.value)
        return isinstance(source, cst.Call) and code(source.func).endswith(".XLNetBlock")

    def _to_model(self, call: cst.Call) -> cst.BaseExpression:
        if len(call.args) != 2 or any(arg.keyword or arg.star for arg in call.args):
            raise ValueError("to_torch_model with anything but inputs and one task has no successor yet")
        inputs, task = call.args
        config = call.func.value  # type: ignore[attr-defined]
        body = cst.Call(self.api("Block"), [cst.Arg(inputs.value), cst.Arg(config)])
        self.done()
        return cst.Call(self.api("Model"), [cst.Arg(body), cst.Arg(task.value)])


def _numbers(values: object) -> cst.Tuple:
    parsed = cst.parse_expression(str(tuple(values)))  # type: ignore[call-overload]
    if not isinstance(parsed, cst.Tuple):
        raise TypeError(f"{values!r} are not numbers")
    return parsed
