"""Metrics and tasks to outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, fit, is_plain, keyword, literal, renamed, with_args
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule, count_returns
from merlin_migrate.codemod.targets import TASKS, TargetTask

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


class OutputRule(Rule):
    """A task becomes an output, and its metrics names and cut-offs."""

    number: ClassVar[str] = "MM104"
    title: ClassVar[str] = "metrics and task"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._metrics: set[cst.CSTNode] = set()

    def visit_Module(self, node: cst.Module) -> None:
        """Finds the metrics that go into a task."""
        for call in self.calls():
            if self.is_call_of(call, f"{TR}.NextItemPredictionTask"):
                self._plan_metrics(call)

    def _plan_metrics(self, task: cst.Call) -> None:
        bound = bind(task, TASK)
        display = self._display(bound["metrics"].value) if bound and "metrics" in bound else None
        if isinstance(display, (cst.List, cst.Tuple)) and self._can_do(task):
            self._metrics.update(element.value for element in display.elements)

    def _cut_offs(self, display: cst.List | cst.Tuple) -> cst.BaseExpression:
        """The cut-offs of all metrics; of a single one as it is written, variables too."""
        metric = display.elements[0].value if len(display.elements) == 1 else None
        bound = bind(metric, ("top_ks", "labels_onehot")) if isinstance(metric, cst.Call) else None
        given = bound["top_ks"].value if bound and "top_ks" in bound else None
        if isinstance(given, cst.List) and is_plain(given) and self.entry(metric.func) is not None:  # type: ignore[union-attr]
            try:
                literal(given)
            except ValueError:
                return given
        return _numbers(self._top_ks(display))

    def _can_do(self, task: cst.Call) -> bool:
        """Whether the task itself is rewritten; else its metrics stay what they are."""
        try:
            self._arguments(task, task)
        except ValueError:
            return False
        return True

    def _display(self, node: cst.BaseExpression) -> cst.BaseExpression | None:
        """The list of metrics: written here, in a variable, or returned by a function without arguments."""
        if not isinstance(node, cst.Call) or node.args:
            return self.origin(node)
        function = self.function(node.func)
        last = function.body.body[-1] if function is not None and function.body.body else None
        small = last.body[-1] if isinstance(last, cst.SimpleStatementLine) else None
        if function is None or not isinstance(small, cst.Return) or small.value is None:
            return None
        return self.origin(small.value) if count_returns(function) == 1 else None

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """One metric or task."""
        try:
            if original_node in self._metrics:
                return self._metric(original_node, updated_node)
            if self.is_call_of(original_node, f"{TR}.NextItemPredictionTask"):
                task = self._task(original_node, updated_node)
                return fit(task, column=self.column(original_node), block=self.depth(original_node))
            if self.is_call_of(original_node, *TASKS):
                output = TargetTask(self, original_node).written(updated_node)
                self.done()
                return output
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
        args = self._arguments(original, call)
        self.done()
        return with_args(call.with_changes(func=self.api("CategoricalOutput")), args)

    def _arguments(self, original: cst.Call, call: cst.Call) -> list[cst.Arg]:
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
        args += self.quirks([keyword("exclude", cst.Tuple([]))])
        return args

    def _task_metrics(self, original: cst.Arg, arg: cst.Arg) -> list[cst.Arg]:
        display = self._display(original.value)
        if not isinstance(display, (cst.List, cst.Tuple)):
            raise ValueError("the metrics are not a list written in the same function, or returned by one")
        if not display.elements:
            # An output has some metrics always: those of its defaults are measured beside the loss.
            return []
        return [renamed(arg, "metrics"), keyword("top_ks", self._cut_offs(display))]

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


def _numbers(values: Sequence[int]) -> cst.Tuple:
    parsed = cst.parse_expression(str(tuple(values)))
    if not isinstance(parsed, cst.Tuple):
        raise TypeError(f"{values!r} are not numbers")
    return parsed
