"""Definitions of models of ``merlin.models.tf``, V1 and V2, as models of the core."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, keyword, renamed, with_args
from merlin_migrate.codemod.merlin.builders import ADAM, dcn, dlrm
from merlin_migrate.codemod.merlin.towers import MLP_OF_TF, Tower, plain_units, tower
from merlin_migrate.codemod.rule import Rule

TF = "merlin.models.tf"
_TASKS = {
    "BinaryClassificationTask": "BinaryOutput",
    "BinaryOutput": "BinaryOutput",
    "RegressionTask": "RegressionOutput",
    "RegressionOutput": "RegressionOutput",
}
_OF_SCHEMA = ("PredictionTasks", "OutputBlock")
DLRM = (
    *("schema", "embeddings", "embedding_dim", "embedding_options", "bottom_block", "top_block"),
    "prediction_tasks",
)
DCN = ("schema", "depth", "deep_block", "stacked", "input_block", "prediction_tasks")
TOWERS = (
    *("schema", "query_tower", "item_tower", "query_tower_tag", "item_tower_tag", "embedding_options"),
    *("post", "prediction_tasks", "logits_temperature", "loss", "samplers"),
)
# Arguments of retrieval models that the core's defaults stand for: negatives are the items of the batch.
_IN_BATCH = {"samplers", "metrics"}


class ModelsOfTensorFlow:
    """Writes definitions of models in the new names.

    Args:
        rule: that asks for it.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.ways: dict[str, Callable[[cst.Call, cst.Call], cst.BaseExpression]] = {
            "MLPBlock": self._mlp,
            "DLRMModel": self._dlrm,
            "DCNModel": self._dcn,
            "TwoTowerModel": self._two_tower,
            "MatrixFactorizationModel": self._factorization,
            **dict.fromkeys(_TASKS, self._task),
            **dict.fromkeys(_OF_SCHEMA, self._targets),
        }

    def name(self, node: cst.CSTNode | None) -> str | None:
        """Name of the class of ``merlin.models.tf`` that is called."""
        name = self.rule.qualified(node.func) if isinstance(node, cst.Call) else None
        return name.removeprefix(f"{TF}.") if name and name.startswith(f"{TF}.") else None

    def new(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        """The call in the new names.

        Raises:
            ValueError: if that cannot be done; with the reason, or none where the table has it.
        """
        way = self.ways.get(str(self.name(original)))
        if way is None:
            raise ValueError("")
        return way(original, call)

    def _bound(self, call: cst.Call, parameters: tuple[str, ...], *more: str) -> dict[str, cst.Arg]:
        bound = bind(call, parameters)
        if bound is None:
            raise ValueError(f"the arguments of {code(call.func)} cannot be followed")
        given = {name: arg for name, arg in bound.items() if code(arg.value) != "None"}
        unknown = [name for name in given if name not in (*parameters, *more)]
        if unknown:
            raise ValueError(f"the argument {unknown[0]} of {code(call.func)} has no successor")
        return given

    def _refused(self, bound: Mapping[str, cst.Arg], *names: str) -> None:
        for name in names:
            if name in bound:
                raise ValueError(f"the argument {name}={code(bound[name].value)} has no successor")

    def _of(self, name: str, call: cst.Call, args: list[cst.Arg]) -> cst.Call:
        return with_args(call.with_changes(func=self.rule.api(name)), args)

    def tower_of(self, node: cst.BaseExpression) -> Tower:
        """The layers of a block that is an ``MLPBlock`` written in place."""
        if not isinstance(node, cst.Call) or self.name(node) != "MLPBlock":
            raise ValueError(f"the tower {code(node)} is not an MLPBlock written in the call")
        return tower(node, MLP_OF_TF)

    def _mlp(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        made = tower(call, MLP_OF_TF)
        return self._of("MLPBlock", call, [cst.Arg(made.units), *made.options.values()])

    def _task(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        name = str(self.name(original))
        bound = self._bound(call, ("target",))
        if "target" not in bound:
            raise ValueError(f"{name} is called without a target")
        return self._of(_TASKS[name], call, [renamed(bound["target"], None)])

    def _targets(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        bound = self._bound(call, ("schema",))
        if "schema" not in bound:
            raise ValueError(f"{self.name(original)} is called without a schema")
        return self._of("TabularOutputBlock", call, [renamed(bound["schema"], None)])

    def _built(
        self, name: str, call: cst.Call, bound: Mapping[str, cst.Arg], own: list[cst.Arg]
    ) -> cst.BaseExpression:
        if "schema" not in bound:
            raise ValueError(f"{name} is called without a schema")
        args = [cst.Arg(bound["schema"].value), *own]
        if "prediction_tasks" in bound:
            tasks = bound["prediction_tasks"].value
            if isinstance(tasks, (cst.List, cst.Tuple)):
                block = cst.Call(self.rule.api("TabularOutputBlock"), [cst.Arg(tasks)])
                tasks = tasks.elements[0].value if len(tasks.elements) == 1 else block
            args.append(keyword("output", tasks))
        return self._of(name, call, [*args, keyword("optimizer", self.rule.new(ADAM))])

    def _dlrm(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        before, after = self._bound(original, DLRM), self._bound(call, DLRM)
        self._refused(before, "embeddings", "embedding_options")
        return self._built("DLRMModel", call, after, dlrm(before, self.tower_of, width="embedding_dim"))

    def _dcn(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        before, after = self._bound(original, DCN), self._bound(call, DCN)
        self._refused(before, "input_block")
        widths = keyword("embedding_dim", cst.SimpleString('"infer"'))
        return self._built("DCNModel", call, after, [widths, *dcn(before, self.tower_of)])

    def _two_tower(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        before, after = self._bound(original, TOWERS, "metrics"), self._bound(call, TOWERS, "metrics")
        self._refused(before, *(set(TOWERS) - {"schema", "query_tower", "item_tower"} - _IN_BATCH))
        self._check_samplers(before)
        if "query_tower" not in before:
            raise ValueError("TwoTowerModel is called without query_tower")
        units, dropout = plain_units(self.tower_of(before["query_tower"].value), "the query tower")
        own = [keyword("embedding_dim", cst.SimpleString('"infer"')), keyword("units", units)]
        if "item_tower" in before:
            others, same = plain_units(self.tower_of(before["item_tower"].value), "the item tower")
            if (None if same is None else code(same)) != (None if dropout is None else code(dropout)):
                raise ValueError("the two towers have other dropout, which the builder's have not")
            own.append(keyword("candidate_units", others))
        if dropout is not None:
            own.append(keyword("dropout", dropout))
        return self._built("TwoTowerModel", call, after, own)

    def _check_samplers(self, bound: Mapping[str, cst.Arg]) -> None:
        samplers = bound["samplers"].value if "samplers" in bound else None
        elements = samplers.elements if isinstance(samplers, (cst.List, cst.Tuple)) else ()
        names = [self.name(element.value) for element in elements]
        if samplers is not None and (not names or set(names) - {"InBatchSampler", "InBatchSamplerV2"}):
            raise ValueError("the samplers are given as negatives= of mm.TwoTowerOutput")

    def _factorization(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        parameters = ("schema", "dim")
        bound = self._bound(call, parameters, "samplers", "metrics")
        self._check_samplers(self._bound(original, parameters, "samplers", "metrics"))
        if "dim" not in bound:
            raise ValueError("MatrixFactorizationModel is called without dim")
        return self._built("MatrixFactorizationModel", call, bound, [keyword("dim", bound["dim"].value)])
