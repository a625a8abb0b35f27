"""Definitions of models of ``merlin.models.tf``, V1 and V2, as models of the core."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, is_plain, keyword, renamed, with_args
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
        # Encoders in variables that a model of two towers takes up.
        self.taken: set[cst.CSTNode] = set()
        self.ways: dict[str, Callable[[cst.Call, cst.Call], cst.BaseExpression]] = {
            "MLPBlock": self._mlp,
            "DLRMModel": self._dlrm,
            "DCNModel": self._dcn,
            "InputBlock": self._inputs,
            "InputBlockV2": self._inputs,
            "CrossBlock": self._cross,
            "MMOEBlock": self._experts,
            "Model": self._model,
            "DeepFMModel": self._deepfm,
            "YoutubeDNNRetrievalModel": self._youtube,
            "YoutubeDNNRetrievalModelV2": self._youtube,
            "TwoTowerModelV2": self._two_encoders,
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

    # Blocks

    def _inputs(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        """``InputBlock(schema)``; layers behind it put its vectors side by side by themselves."""
        second = self.name(original) == "InputBlockV2"
        bound = self._bound(
            call, ("schema",), "aggregation", "categorical" if second else "embedding_options"
        )
        if "schema" not in bound:
            raise ValueError("the input block is called without a schema")
        args = [renamed(bound["schema"], None)]
        joined = code(bound["aggregation"].value).strip("'\"") if "aggregation" in bound else "concat"
        if joined not in ("concat", "element-wise-sum"):
            raise ValueError(f"aggregation={joined} has no successor, only 'concat' and 'element-wise-sum'")
        before = self._bound(original, ("schema",), "aggregation", "categorical", "embedding_options")
        width = self._width(before)
        if width is not None:
            args.append(keyword("embedding_dim", width))
        elif second:
            args.append(keyword("embedding_dim", cst.SimpleString('"infer"')))
        if joined != "concat":
            args.append(keyword("aggregation", cst.SimpleString('"sum"')))
        args.append(keyword("combiner", cst.SimpleString('"mean"')))
        return self._of("TabularInputBlock", call, args)

    def _width(self, bound: Mapping[str, cst.Arg]) -> cst.BaseExpression | None:
        """The width of all tables, where it is one number."""
        given = bound.get("categorical") or bound.get("embedding_options")
        if given is None:
            return None
        made = given.value
        wanted = {"Embeddings": "dim", "EmbeddingOptions": "embedding_dim_default"}
        argument = wanted.get(str(self.name(made)))
        found = bind(made, ("schema", "dim")) if isinstance(made, cst.Call) and argument else None
        if found is None or argument not in found or set(found) - {"schema", argument}:
            raise ValueError(f"{code(made)} is given as embedding_dim= of mm.TabularInputBlock")
        return found[argument].value

    def _cross(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        bound = self._bound(call, ("depth",))
        return self._of(
            "CrossBlock", call, [renamed(arg, None) for arg in bound.values()] or [cst.Arg(cst.Integer("1"))]
        )

    def _experts(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        names = ("outputs", "expert_block", "num_experts")
        bound, before = self._bound(call, names), self._bound(original, names)
        if set(bound) != set(names):
            raise ValueError("MMOEBlock is followed with outputs, expert_block and num_experts")
        outputs = bound["outputs"].value
        if self.name(self.rule.origin(before["outputs"].value)) in _OF_SCHEMA:
            outputs = self.rule.new("list(__outputs__.outputs)", outputs=outputs)
        args = [renamed(bound["expert_block"], None), keyword("num_experts", bound["num_experts"].value)]
        return self._of("MMOEBlock", call, [*args, keyword("outputs", outputs)])

    # Models

    def _model(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        last = self.name(self.rule.origin(original.args[-1].value)) if original.args else None
        if any(arg.keyword or arg.star for arg in call.args) or last not in (*_TASKS, *_OF_SCHEMA):
            raise ValueError("a Model is followed with blocks, the last of them tasks or outputs")
        return self._of("Model", call, [*call.args, keyword("optimizer", self.rule.new(ADAM))])

    def _deepfm(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        names = ("schema", "embedding_dim", "deep_block")
        before = self._bound(original, names, "prediction_tasks")
        after = self._bound(call, names, "prediction_tasks")
        if "deep_block" not in before or "embedding_dim" not in before:
            raise ValueError("DeepFMModel is followed with embedding_dim and deep_block")
        units, dropout = plain_units(self.tower_of(before["deep_block"].value), "the deep tower")
        own = [keyword("embedding_dim", after["embedding_dim"].value), keyword("deep", units)]
        own += [] if dropout is None else [keyword("dropout", dropout)]
        if "prediction_tasks" in after:
            # The parts of the model are added up to the number of its one output.
            task = after["prediction_tasks"].value
            if self.name(before["prediction_tasks"].value) not in _TASKS or not isinstance(task, cst.Call):
                raise ValueError("DeepFMModel is followed with one task that is written in the call")
            task = with_args(task, [*task.args, keyword("project", cst.Name("False"))])
            after = {**after, "prediction_tasks": after["prediction_tasks"].with_changes(value=task)}
        return self._built("DeepFMModel", call, after, own)

    def _youtube(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        names = ("schema", "aggregation", "top_block", "l2_normalization")
        more = ("top_block", "num_sampled", "logits_temperature", "l2_normalization", "aggregation")
        second = self.name(original) == "YoutubeDNNRetrievalModelV2"
        before = self._bound(original, ("schema",) if second else names, *more)
        bound = self._bound(call, ("schema",) if second else names, *more)
        own = []
        if "top_block" in before:
            units, dropout = plain_units(self.tower_of(before["top_block"].value), "the top tower")
            own.append(keyword("top_block", units))
            own += [] if dropout is None else [keyword("dropout", dropout)]
        own += [renamed(bound[name], name) for name in ("num_sampled", "logits_temperature") if name in bound]
        if not second and (
            "l2_normalization" not in before or code(before["l2_normalization"].value) == "True"
        ):
            self.rule.mark(
                "vectors of users were brought to length 1, which those of the builder are not: give "
                "mm.CategoricalOutput(normalized=True) to a model of blocks",
                "models",
            )
        if "aggregation" in bound and code(bound["aggregation"].value).strip("'\"") != "concat":
            raise ValueError("YoutubeDNNRetrievalModel is followed with aggregation='concat' only")
        return self._built("YoutubeDNNRetrievalModel", call, bound, own)

    def _two_encoders(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        """``TwoTowerModelV2(Encoder(...), Encoder(...))``: what each tower reads, and its units."""
        bound = self._bound(original, ("query_tower", "candidate_tower"), "negative_samplers")
        samplers = (
            code(bound["negative_samplers"].value).strip("'\"")
            if "negative_samplers" in bound
            else "in-batch"
        )
        if samplers != "in-batch" or not {"query_tower", "candidate_tower"} <= set(bound):
            raise ValueError("TwoTowerModelV2 is followed with two encoders and negatives of the batch")
        query, units, dropout = self._encoder(bound["query_tower"].value)
        candidate, others, same = self._encoder(bound["candidate_tower"].value)
        if (None if same is None else code(same)) != (None if dropout is None else code(dropout)):
            raise ValueError("the two towers have other dropout, which the builder's have not")
        args = [
            cst.Arg(cst.BinaryOperation(query, cst.Add(), candidate)),
            keyword("query", query),
            keyword("candidate", candidate),
            keyword("embedding_dim", cst.SimpleString('"infer"')),
            keyword("units", units),
            keyword("candidate_units", others),
        ]
        args += [] if dropout is None else [keyword("dropout", dropout)]
        return self._of("TwoTowerModel", call, [*args, keyword("optimizer", self.rule.new(ADAM))])

    def _encoder(
        self, node: cst.BaseExpression
    ) -> tuple[cst.BaseExpression, cst.BaseExpression, cst.BaseExpression | None]:
        """Schema, units and dropout of an ``Encoder(schema, MLPBlock(...))``."""
        made = self.rule.origin(node)
        args = made.args if isinstance(made, cst.Call) and self.name(made) == "Encoder" else ()
        if len(args) != 2 or any(arg.keyword or arg.star for arg in args):
            # Without arguments, which a rule behind this one may change: a second run says the same.
            tower = f"{code(node.func)}(...)" if isinstance(node, cst.Call) else code(node)
            raise ValueError(f"the tower {tower} is no Encoder of a schema and an MLPBlock")
        if isinstance(node, cst.Name):
            if len(self.rule.uses(node)) != 1:
                raise ValueError(f"the encoder {node.value} is used more than once")
            self.taken.add(made)  # type: ignore[arg-type]
        units, dropout = plain_units(self.tower_of(args[1].value), f"the tower {code(node)}")
        inputs = self.rule.origin(args[0].value)
        if self.name(inputs) == "InputBlockV2" and isinstance(inputs, cst.Call) and len(inputs.args) == 1:
            return inputs.args[0].value, units, dropout
        if self.name(inputs) is not None or not is_selection(args[0].value):
            raise ValueError(f"the columns of the tower {code(node)} cannot be followed")
        return args[0].value, units, dropout

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


def is_selection(node: cst.BaseExpression) -> bool:
    """Whether an expression is a schema's name, or columns chosen from one, which may be written twice."""
    if is_plain(node):
        return True
    func = node.func if isinstance(node, cst.Call) else None
    chosen = isinstance(func, cst.Attribute) and func.attr.value.startswith(
        ("select", "excluding", "without")
    )
    return chosen and isinstance(node, cst.Call) and all(is_plain(arg.value) for arg in node.args)
