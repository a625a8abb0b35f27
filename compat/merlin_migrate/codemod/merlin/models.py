"""Models, inputs and outputs of ``merlin.models.torch`` 23.12 (V2), one expression for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, keyword, renamed, with_args
from merlin_migrate.codemod.merlin.builders import ADAM, dcn, dlrm
from merlin_migrate.codemod.merlin.data import Data
from merlin_migrate.codemod.merlin.towers import MLP_OF_TORCH, Tower, tower
from merlin_migrate.codemod.merlin.v2_blocks import Routes, plain_args, repeated
from merlin_migrate.codemod.merlin.v2_steps import StepsOfV2
from merlin_migrate.codemod.rule import Rule

V2 = "merlin.models.torch"
_METRICS = {
    "Accuracy": "accuracy",
    "BinaryAccuracy": "accuracy",
    "AUROC": "auc",
    "BinaryAUROC": "auc",
    "Precision": "precision",
    "BinaryPrecision": "precision",
    "Recall": "recall",
    "BinaryRecall": "recall",
    "MeanSquaredError": "mse",
    "MeanAbsoluteError": "mae",
}
_LOSSES = {
    "BinaryOutput": {"BCELoss": "bce", "L1Loss": "mae", "MSELoss": "mse"},
    "RegressionOutput": {"MSELoss": "mse", "L1Loss": "mae", "HuberLoss": "huber"},
}
_SAME = frozenset(
    f"{V2}.{name}"
    for name in (
        *("map", "walk", "utils.traversal_utils.find", "utils.traversal_utils.leaf"),
        *(
            "feature_schema",
            "input_schema",
            "output_schema",
            "target_schema",
            "schema.select",
            "schema.extract",
        ),
    )
)
"""Functions that are called in the same way, of blocks of the core."""
_JOINING = ("MLPBlock", "Concat", "CrossBlock.with_depth")
DLRM = ("schema", "dim", "bottom_block", "top_block", "interaction", "output_block")
DCN = ("schema", "depth", "deep_block", "stacked", "input_block", "output_block")


class ModelsOfTorch:
    """Writes the calls of a program in the new names.

    Args:
        rule: that asks for it.
        data: that knows the loaders.
    """

    def __init__(self, rule: Rule, data: Data) -> None:
        self.rule = rule
        self.routes = Routes(rule)
        self.steps = StepsOfV2(rule, self.routes, data)
        self.ways: dict[str, Callable[[cst.Call, cst.Call], cst.BaseExpression]] = {
            f"{V2}.MLPBlock": self._mlp,
            f"{V2}.TabularInputBlock": self._inputs,
            f"{V2}.Concat": self._concat,
            f"{V2}.Block": self._block,
            f"{V2}.CrossBlock.with_depth": self._cross,
            f"{V2}.BinaryOutput": self._binary,
            f"{V2}.RegressionOutput": self._regression,
            f"{V2}.TabularOutputBlock": self._outputs,
            f"{V2}.DLRMModel": self._dlrm,
            f"{V2}.DCNModel": self._dcn,
            f"{V2}.Model": self._model,
            f"{V2}.ParallelBlock": self._parallel,
            f"{V2}.ResidualBlock": self._residual,
            f"{V2}.ShortcutBlock": lambda _, call: self._of("ShortcutBlock", call, plain_args(call, "name")),
            f"{V2}.repeat_parallel": self._repeated,
            f"{V2}.Stack": self._stack,
            f"{V2}.EmbeddingTable": self._table,
            f"{V2}.inputs.embedding.infer_embedding_dim": self._inferred,
            f"{V2}.RouterBlock": lambda original, call: self._of(
                "TabularInputBlock", call, self.routes.router(original)
            ),
            f"{V2}.Batch": lambda _, call: self.steps.batch(call),
            f"{V2}.Batch.sample_from": lambda _, call: self.steps.sampled(call),
            f"{V2}.models.base.compute_loss": self.steps.results,
            f"{V2}.models.base.create_optimizer": lambda _, call: self.steps.optimizer(call),
        }

    def name(self, call: cst.Call) -> str | None:
        """The table's name of what is called, with the method after it."""
        name = self.rule.qualified(call.func)
        entry = self.rule.entry(call.func)
        if name is None or entry is None:
            return None
        for known in (entry.name, *entry.also):
            if name == known or name.startswith(f"{known}."):
                return entry.name + name.removeprefix(known)
        return None

    def new(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        """The call in the new names.

        Args:
            original: as it was.
            call: with its parts in the new names.

        Raises:
            ValueError: if that cannot be done, with the reason.
        """
        way = self.ways.get(str(self.name(original)))
        if way is not None:
            return way(original, call)
        entry = self.rule.entry(original.func)
        if entry is None or (entry.kind != "alias" and entry.name not in _SAME):
            # The last rule says what becomes of the name.
            raise ValueError("")
        return call.with_changes(func=self.rule.api(entry.replacement.removeprefix("mm.")))

    def _of(self, name: str, call: cst.Call, args: list[cst.Arg]) -> cst.Call:
        return with_args(call.with_changes(func=self.rule.api(name)), args)

    def _bound(self, call: cst.Call, parameters: tuple[str, ...]) -> dict[str, cst.Arg]:
        bound = bind(call, parameters)
        if bound is None:
            raise ValueError(f"the arguments of {code(call.func)} cannot be followed")
        unknown = [name for name in bound if name not in parameters]
        if unknown:
            raise ValueError(f"the argument {unknown[0]} of {code(call.func)} has no successor")
        return bound

    # Blocks

    def tower_of(self, node: cst.BaseExpression) -> Tower:
        """The layers of a block that is an ``MLPBlock`` written in place."""
        if not isinstance(node, cst.Call) or self.name(node) != f"{V2}.MLPBlock":
            raise ValueError(f"the tower {code(node)} is not an MLPBlock written in the call")
        return tower(node, MLP_OF_TORCH)

    def _mlp(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        made = tower(call, MLP_OF_TORCH)
        return self._of("MLPBlock", call, [cst.Arg(made.units), *made.options.values()])

    def _block(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        args = [arg for arg in call.args if not (arg.keyword and arg.keyword.value == "name")]
        if any(arg.keyword or arg.star == "**" for arg in args):
            raise ValueError("the arguments of Block cannot be followed")
        return self._of("Block", call, args)

    def _concat(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        if call.args:
            raise ValueError("the arguments of Concat have no successor")
        return call.with_changes(func=self.rule.api("Concat"))

    def _cross(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        depth = self._bound(call, ("depth",))
        return self._of("CrossBlock", call, [renamed(arg, None) for arg in depth.values()])

    def _parallel(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        if len(call.args) != 1 or call.args[0].keyword or call.args[0].star:
            raise ValueError("ParallelBlock is followed with one dict of branches")
        return call.with_changes(func=self.rule.api("ParallelBlock"))

    def _residual(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        args = plain_args(call, "name")
        given = any(arg.keyword and arg.keyword.value == "shortcut" for arg in args)
        quirk = [] if given else self.rule.quirks([keyword("shortcut", cst.SimpleString('"first"'))])
        return self._of("ResidualBlock", call, [*args, *quirk])

    def _repeated(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        quirks = self.rule.quirks([keyword("reset", cst.Name("False"))])
        return self._of(
            "repeat_parallel", call, repeated(call, concat=self.rule.new("mm.Concat()"), quirks=quirks)
        )

    def _stack(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        bound = self._bound(call, ("dim",))
        given = [renamed(bound["dim"], "dim")] if "dim" in bound else [keyword("dim", cst.Integer("0"))]
        return self._of("Stack", call, given)

    def _table(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        bound = self._bound(call, ("dim", "schema", "seq_combiner"))
        if "schema" not in bound:
            raise ValueError(
                "EmbeddingTable gets its columns from the block that it is put in: give it the schema"
            )
        args = [renamed(bound["schema"], None)]
        args += [renamed(bound["dim"], None)] if "dim" in bound else []
        args += [renamed(bound["seq_combiner"], "combiner")] if "seq_combiner" in bound else []
        return self._of("EmbeddingTable", call, args)

    def _inferred(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        bound = self._bound(call, ("schema",))
        self.rule.api("inferred_dim")
        return self.rule.new(
            "mm.inferred_dim(sum(column.int_domain.max for column in __schema__) + 1)",
            schema=bound["schema"].value,
        )

    def _inputs(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        bound = self._bound(call, ("schema", "init", "agg"))
        init = code(bound["init"].value).strip("'\"") if "init" in bound else "None"
        own = init not in ("defaults", "None") and self.routes.registered(init) is not None
        if "schema" not in bound or (init != "defaults" and not own):
            raise ValueError(f"TabularInputBlock is followed with a schema and init='defaults', not {init}")
        agg = code(bound["agg"].value).strip("'\"") if "agg" in bound else "None"
        if agg not in ("concat", "None") or (agg == "None" and not self._is_joined(original)):
            raise ValueError(f"what follows TabularInputBlock does not join its vectors by itself, agg={agg}")
        if own:
            return self._of("TabularInputBlock", call, self.routes.by_registered(bound["schema"].value, init))
        args = [renamed(bound["schema"], None)]
        args += [keyword("embedding_dim", cst.SimpleString('"infer"'))]
        args += [keyword("combiner", cst.SimpleString('"mean"'))]
        return self._of("TabularInputBlock", call, args)

    def _is_joined(self, inputs: cst.Call) -> bool:
        """Whether the next block of the same model puts vectors side by side."""
        arg = self.rule.parent(inputs)
        model = self.rule.parent(arg) if arg is not None else None
        if not isinstance(model, cst.Call) or self.name(model) not in (f"{V2}.Model", f"{V2}.Block"):
            return False
        following = model.args[[a is arg for a in model.args].index(True) + 1 :]
        after = self.rule.origin(following[0].value) if following else None
        return isinstance(after, cst.Call) and self.name(after) in {f"{V2}.{name}" for name in _JOINING}

    # Outputs

    def _binary(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        return self._output("BinaryOutput", call)

    def _regression(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        return self._output("RegressionOutput", call)

    def _output(self, name: str, call: cst.Call) -> cst.BaseExpression:
        bound = self._bound(call, ("schema", "loss", "metrics"))
        if "schema" not in bound:
            raise ValueError(f"{name} gets its target from the block that it is put in: give it the column")
        args = [renamed(bound["schema"], None), *self._loss(name, bound)]
        if "metrics" in bound:
            args.append(renamed(bound["metrics"], "metrics", self._metrics(bound["metrics"].value)))
        return self._of(name, call, args)

    @staticmethod
    def _loss(name: str, bound: Mapping[str, cst.Arg]) -> list[cst.Arg]:
        """``loss=`` of an output; that of a binary one is of the probability."""
        text = code(bound["loss"].value) if "loss" in bound else "None"
        if text == "None":
            return []
        last = text.removesuffix("()").rpartition(".")[2]
        found = _LOSSES[name].get(last) if text.endswith("()") else None
        if found is None:
            raise ValueError(f"the loss {text} of {name} has no successor")
        default = next(iter(_LOSSES[name].values()))
        return [] if found == default else [renamed(bound["loss"], "loss", cst.SimpleString(f'"{found}"'))]

    @staticmethod
    def _metrics(node: cst.BaseExpression) -> cst.BaseExpression:
        elements = node.elements if isinstance(node, (cst.List, cst.Tuple)) else ()
        named = []
        for element in elements:
            func = element.value.func if isinstance(element.value, cst.Call) else element.value
            last = code(func).rpartition(".")[2]
            if last not in _METRICS:
                raise ValueError(f"the metric {code(element.value)} has no successor by name")
            named.append(cst.Element(cst.SimpleString(f'"{_METRICS[last]}"')))
        if not named:
            raise ValueError(f"the metrics {code(node)} are not a list written in the call")
        return cst.List(named)

    def _outputs(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        bound = self._bound(call, ("schema", "init"))
        init = code(bound["init"].value).strip("'\"") if "init" in bound else "None"
        if "schema" not in bound or init != "defaults":
            raise ValueError("TabularOutputBlock is followed with a schema and init='defaults' only")
        return self._of_targets(bound["schema"].value)

    def _of_targets(self, schema: cst.BaseExpression) -> cst.Call:
        """Outputs of all targets; their loss was the mean of the targets' losses."""
        args = [cst.Arg(schema), *self.rule.quirks([keyword("reduction", cst.SimpleString('"mean"'))])]
        return with_args(cst.Call(self.rule.api("TabularOutputBlock")), args)

    # Models

    def _dlrm(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        before, after = self._bound(original, DLRM), self._bound(call, DLRM)
        if "interaction" in before and code(before["interaction"].value) != "None":
            raise ValueError("the interaction is written in mm.DLRMBlock(interaction=...)")
        return self._built("DLRMModel", call, after, dlrm(before, self.tower_of, width="dim"))

    def _dcn(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        before, after = self._bound(original, DCN), self._bound(call, DCN)
        if "input_block" in before and code(before["input_block"].value) != "None":
            raise ValueError("DCNModel makes its input block itself: write mm.Model of blocks")
        widths = keyword("embedding_dim", cst.SimpleString('"infer"'))
        return self._built("DCNModel", call, after, [widths, *dcn(before, self.tower_of)])

    def _built(
        self, name: str, call: cst.Call, bound: Mapping[str, cst.Arg], own: list[cst.Arg]
    ) -> cst.BaseExpression:
        if "schema" not in bound:
            raise ValueError(f"{name} is called without a schema")
        schema = bound["schema"].value
        given = bound.get("output_block")
        output = self._of_targets(schema) if given is None or code(given.value) == "None" else given.value
        args = [cst.Arg(schema), *own, keyword("output", output)]
        return self._of(name, call, [*args, keyword("optimizer", self.rule.new(ADAM))])

    def _model(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        args = []
        for arg in call.args:
            if arg.keyword is None and arg.star != "**":
                args.append(arg)
            elif arg.keyword is None or arg.keyword.value not in ("optimizer", "initialization"):
                raise ValueError(f"the argument {code(arg)} of Model has no successor")
        return self._of("Model", call, [*args, keyword("optimizer", self.rule.new(ADAM))])
