"""What programs of V2 did with a model by themselves: batches, steps, answers, loops over a loader."""

from __future__ import annotations

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, literal
from merlin_migrate.codemod.merlin.data import Data
from merlin_migrate.codemod.merlin.v2_blocks import Routes
from merlin_migrate.codemod.rule import Rule

_MODELS = ("Model", "DLRMModel", "DCNModel")
_OPTIMIZERS = {"sgd": ("SGD", "0.01"), "adam": ("Adam", "0.001"), "adagrad": ("Adagrad", "0.01")}


class StepsOfV2:
    """Writes them in the new names.

    Args:
        rule: that asks for it.
        routes: that knows the names.
        data: that knows the loaders.
    """

    def __init__(self, rule: Rule, routes: Routes, data: Data) -> None:
        self.rule = rule
        self.routes = routes
        self.data = data

    def is_model(self, node: cst.CSTNode | None) -> bool:
        """Whether an expression is a model."""
        made = self.rule.origin(node) if isinstance(node, cst.Name) else None
        return self.routes.name(made) in _MODELS

    def output(self, model: cst.BaseExpression) -> str:
        """Class of the one output of a model; empty for several, or one that cannot be told."""
        call = self.rule.origin(model)
        if not isinstance(call, cst.Call):
            return ""
        named = {arg.keyword.value: arg.value for arg in call.args if arg.keyword}
        positional = [arg.value for arg in call.args if arg.keyword is None]
        last = (
            positional[-1] if self.routes.name(call) == "Model" and positional else named.get("output_block")
        )
        name = self.routes.name(self.rule.origin(last)) if last is not None else ""
        return name if name in ("BinaryOutput", "RegressionOutput") else ""

    # Batches

    def batch(self, call: cst.Call) -> cst.BaseExpression:
        """``Batch(features, targets)``."""
        bound = bind(call, ("features", "targets"))
        if bound is None or not {"features"} <= set(bound) <= {"features", "targets"}:
            raise ValueError("a Batch is followed with features and targets only")
        return call.with_changes(func=self.rule.api("Batch"))

    def sampled(self, call: cst.Call) -> cst.BaseExpression:
        """``Batch.sample_from(dataset, batch_size=...)``: the first batch."""
        bound = bind(call, ("dataset_or_loader", "batch_size", "shuffle"))
        if (
            bound is None
            or "dataset_or_loader" not in bound
            or ("shuffle" in bound and code(bound["shuffle"].value) not in ("False", "None"))
        ):
            raise ValueError("sample_from is followed with a data set and batch_size only")
        source, schema = self.data.of(bound["dataset_or_loader"].value)
        rows = bound["batch_size"].value if "batch_size" in bound else cst.Integer("32")
        self.rule.api("ParquetLoader")
        return self.rule.new(
            "next(iter(mm.ParquetLoader(__source__, __schema__, batch_size=__rows__)))",
            source=source,
            schema=schema,
            rows=rows,
        )

    # Steps

    def called(self, call: cst.Call) -> tuple[cst.BaseExpression, cst.BaseExpression | None]:
        """Columns and batch that a model is called with."""
        bound = bind(call, ("inputs", "batch"))
        if bound is None or "inputs" not in bound or not set(bound) <= {"inputs", "batch"}:
            raise ValueError("a model is called with columns, and maybe a batch")
        return bound["inputs"].value, bound["batch"].value if "batch" in bound else None

    def answered(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        """``model(columns)``: probabilities of a binary output, numbers of another, (B, 1)."""
        kind = self.output(original.func)
        if not kind:
            raise ValueError(
                "what a model of several outputs answers is in mm.Step(model, batch).scores by target"
            )
        columns, batch = self.called(call)
        given = batch if batch is not None else self.rule.new("mm.Batch(__x__)", x=columns)
        self.rule.api("Batch")
        asked = cst.Call(call.func, [cst.Arg(given)])
        link = ".sigmoid()" if kind == "BinaryOutput" else ""
        return self.rule.new(f"__asked__{link}.unsqueeze(-1)", asked=asked)

    def results(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        """``compute_loss(model(columns, batch=batch), targets, model.model_outputs())``."""
        names = ("predictions", "targets", "model_outputs")
        before, bound = bind(original, names), bind(call, names)
        asked = before["predictions"].value if before and len(before) == len(names) else None
        if (
            bound is None
            or before is None
            or not isinstance(asked, cst.Call)
            or not self.is_model(asked.func)
        ):
            raise ValueError("compute_loss is followed with what a model gives in the call itself")
        model = code(asked.func)
        if code(before["model_outputs"].value) != f"{model}.model_outputs()":
            raise ValueError("compute_loss is followed with all outputs of the model only")
        self._check_results(original)
        columns, batch = self.called(asked)
        targets = before["targets"].value
        self.rule.api("Step")
        if batch is not None and code(targets) == f"{code(batch)}.targets":
            return self.rule.new(f'mm.Step({model}, __batch__, "train").results', batch=batch)
        rows = cst.Tuple([cst.Element(columns), cst.Element(targets)])
        return self.rule.new(f'mm.Step({model}, __rows__, "train").results', rows=rows)

    def _check_results(self, call: cst.Call) -> None:
        assign = self.rule.parent(call)
        target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
        above = (
            [self.rule.parent(use) for use in self.rule.uses(target)]
            if isinstance(target, cst.Name)
            else [assign]
        )
        for use in above:
            if isinstance(use, cst.Subscript) and code(use.slice[0]).strip("'\"") != "loss":
                raise ValueError(f"{code(use)}: metrics are named by target and metric, as in click_accuracy")

    def optimizer(self, call: cst.Call) -> cst.BaseExpression:
        """``create_optimizer(model, "adam")``."""
        bound = bind(call, ("module", "opt"))
        if bound is None or set(bound) != {"module", "opt"}:
            raise ValueError("the arguments of create_optimizer cannot be followed")
        name = str(literal(bound["opt"].value)).lower()
        if name not in _OPTIMIZERS:
            raise ValueError(f"the optimizer {name} has no successor by name: write the class")
        cls, rate = _OPTIMIZERS[name]
        self.rule.program.imports.add("torch")
        return self.rule.new(
            f"torch.optim.{cls}(__module__.parameters(), lr={rate})", module=bound["module"].value
        )

    # Loops

    def loop(self, loop: cst.For) -> tuple[str, str] | None:
        """The variables for columns and labels of a loop over a loader."""
        made = self.rule.origin(loop.iter)
        if (
            not isinstance(made, cst.Call)
            or self.rule.qualified(made.func) != "merlin.dataloader.torch.Loader"
        ):
            return None
        names = [e.value for e in loop.target.elements] if isinstance(loop.target, cst.Tuple) else []
        plain = [name.value for name in names if isinstance(name, cst.Name)]
        if len(plain) != 2 or not isinstance(loop.body, cst.IndentedBlock):
            raise ValueError("a loop over a loader is followed with variables for columns and labels only")
        if any(text.endswith(("__values", "__offsets")) for text in self.rule.program.strings):
            raise ValueError(
                "lists of a batch are mm.Ragged with values and offsets: rewrite the loop by hand"
            )
        return plain[0], plain[1]

    def looped(self, original: cst.For, updated: cst.For) -> cst.For:
        """The loop over batches of ``mm.ParquetLoader``."""
        names = self.loop(original)
        if names is None:
            return updated
        columns, labels = names
        rows = self.rule.program.free("rows")
        of_one = any(self.output(call.func) for call in self.rule.calls() if self.is_model(call.func))
        given = f"({labels},) = {rows}.targets.values()" if of_one else f"{labels} = {rows}.targets"
        first = cst.parse_statement(f"{columns} = {rows}.features")
        second = cst.parse_statement(given)
        if not isinstance(updated.body, cst.IndentedBlock):
            return updated
        body = updated.body.with_changes(body=[first, second, *updated.body.body])
        return updated.with_changes(target=cst.Name(rows), body=body)
