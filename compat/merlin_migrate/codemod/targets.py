"""Tasks for a column of labels: ``BinaryClassificationTask`` and ``RegressionTask``."""

from __future__ import annotations

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, keyword, literal, renamed, with_args
from merlin_migrate.codemod.rule import Rule

TR = "transformers4rec.torch"
TASKS = {f"{TR}.BinaryClassificationTask": "BinaryOutput", f"{TR}.RegressionTask": "RegressionOutput"}
OUTPUTS = tuple(TASKS.values())
_ARGUMENTS = ("target_name", "task_name", "task_block", "loss", "metrics", "summary_type")
_BINARY = {
    **dict.fromkeys(("torchmetrics.Accuracy", "torchmetrics.classification.BinaryAccuracy"), "accuracy"),
    **dict.fromkeys(("torchmetrics.Precision", "torchmetrics.classification.BinaryPrecision"), "precision"),
    **dict.fromkeys(("torchmetrics.Recall", "torchmetrics.classification.BinaryRecall"), "recall"),
    **dict.fromkeys(("torchmetrics.F1Score", "torchmetrics.classification.BinaryF1Score"), "f1"),
}
_NUMBERS = {
    **dict.fromkeys(("torchmetrics.MeanSquaredError", "torchmetrics.regression.MeanSquaredError"), "mse"),
    **dict.fromkeys(("torchmetrics.MeanAbsoluteError", "torchmetrics.regression.MeanAbsoluteError"), "mae"),
}
_DEFAULTS = {"BinaryOutput": ("precision", "recall", "accuracy"), "RegressionOutput": ("mse",)}
_LOSSES: dict[str, dict[str, str | None]] = {
    "BinaryOutput": {"BCELoss()": None},
    "RegressionOutput": {"MSELoss()": None, "L1Loss()": "mae", "HuberLoss()": "huber"},
}


class TargetTask:
    """One task as the output that it becomes.

    Args:
        rule: that rewrites it.
        call: the task, as it is in the program.
        of_rows: whether its body gives one vector a row, so that there is nothing to sum up; blocks before
            the task are then the caller's.

    Raises:
        ValueError: if an argument has no successor.
    """

    def __init__(self, rule: Rule, call: cst.Call, *, of_rows: bool = False) -> None:
        entry = rule.entry(call.func)
        self.rule = rule
        self.of_rows = of_rows
        self.kind = TASKS[f"{TR}.{entry.name.rpartition('.')[2]}"] if entry is not None else ""
        bound = bind(call, _ARGUMENTS)
        if bound is None or "target_name" not in bound:
            raise ValueError("a task is rewritten with its target_name given only")
        self.bound = bound
        if "task_block" in bound and code(bound["task_block"].value) != "None" and not of_rows:
            raise ValueError("the argument task_block has no successor: put the block before the output")
        self.loss = self._loss()
        self.metrics = self._metrics()
        summary = str(literal(bound["summary_type"].value)) if "summary_type" in bound else "first"
        if summary not in ("first", "last", "mean", "cls_index"):
            raise ValueError(f"summary_type={summary} took padding for labels: use summary='none'")
        self.summary = "last" if summary == "cls_index" else summary

    def _loss(self) -> str | None:
        if "loss" not in self.bound:
            return None
        text = code(self.bound["loss"].value).rpartition(".")[2]
        if text not in _LOSSES[self.kind]:
            raise ValueError(f"the loss {code(self.bound['loss'].value)} has no successor")
        return _LOSSES[self.kind][text]

    def _metrics(self) -> tuple[str, ...]:
        if "metrics" not in self.bound:
            return _DEFAULTS[self.kind]
        display = self.rule.origin(self.bound["metrics"].value)
        if not isinstance(display, (cst.List, cst.Tuple)):
            raise ValueError("the metrics are not a list written in the same function")
        return tuple(self._metric(element.value) for element in display.elements)

    def _metric(self, node: cst.BaseExpression) -> str:
        call = self.rule.origin(self._picked(node))
        name = self.rule.qualified(call.func) if isinstance(call, cst.Call) else None
        known = _BINARY if self.kind == "BinaryOutput" else _NUMBERS
        given = bind(call, ()) if isinstance(call, cst.Call) else None
        if name not in known or given is None:
            raise ValueError(f"the metric {code(node)} has no successor")
        texts = {argument: code(arg.value).replace("'", '"') for argument, arg in given.items()}
        if known[name] == "mse" and texts.pop("squared", "True") == "False":
            return "rmse" if not texts else self._refused(node)
        plain = {"task": '"binary"', "num_classes": "2"}
        if any(plain.get(argument) != text for argument, text in texts.items()):
            return self._refused(node)
        return known[name]

    @staticmethod
    def _refused(node: cst.BaseExpression) -> str:
        raise ValueError(f"an argument of the metric {code(node)} has no successor")

    def _picked(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """What ``metrics[0]`` picks from a list written before."""
        display = self.rule.origin(node.value) if isinstance(node, cst.Subscript) else None
        index = node.slice[0].slice if isinstance(node, cst.Subscript) else None
        if not isinstance(display, (cst.List, cst.Tuple)) or not isinstance(index, cst.Index):
            return node
        try:
            found: cst.BaseExpression = display.elements[int(code(index.value))].value
        except (ValueError, IndexError):
            return node
        return found

    def written(self, call: cst.Call) -> cst.Call:
        """The output.

        Args:
            call: the task with what other changes made of it.
        """
        bound = bind(call, _ARGUMENTS) or {}
        names = cst.List([cst.Element(cst.SimpleString(f'"{name}"')) for name in self.metrics])
        args = [renamed(bound["target_name"], None)]
        if self.of_rows:
            pass
        elif "summary_type" in bound:
            args.append(renamed(bound["summary_type"], "summary", cst.SimpleString(f'"{self.summary}"')))
        else:
            args.append(keyword("summary", cst.SimpleString(f'"{self.summary}"')))
        metrics = bound.get("metrics")
        args.append(renamed(metrics, "metrics", names) if metrics else keyword("metrics", names))
        if self.loss is not None:
            args.append(keyword("loss", cst.SimpleString(f'"{self.loss}"')))
        if self.kind == "BinaryOutput":
            args += self.rule.quirks([keyword("bias", cst.Name("False"))])
        return with_args(call.with_changes(func=self.rule.api(self.kind)), args)
