"""Blocks, tasks and outputs of ``merlin.models.tf``, V1 and V2."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, keyword, renamed
from merlin_migrate.codemod.merlin.tf_definitions import OF_SCHEMA, TASKS, Definitions, Way
from merlin_migrate.codemod.merlin.towers import MLP_OF_TF, tower


class BlocksOfTensorFlow(Definitions):
    """Writes what models are made of."""

    def ways(self) -> dict[str, Way]:
        """By name of the old class."""
        return {
            "MLPBlock": self._mlp,
            "InputBlock": self._inputs,
            "InputBlockV2": self._inputs,
            "CrossBlock": self._cross,
            "MMOEBlock": self._experts,
            **dict.fromkeys(TASKS, self._task),
            **dict.fromkeys(OF_SCHEMA, self._targets),
        }

    def _mlp(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        made = tower(call, MLP_OF_TF)
        return self.written("MLPBlock", call, [cst.Arg(made.units), *made.options.values()])

    def _task(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        name = str(self.name(original))
        bound = self.bound(call, ("target",))
        if "target" not in bound:
            raise ValueError(f"{name} is called without a target")
        return self.written(TASKS[name], call, [renamed(bound["target"], None)])

    def _targets(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        bound = self.bound(call, ("schema",))
        if "schema" not in bound:
            raise ValueError(f"{self.name(original)} is called without a schema")
        return self.written("TabularOutputBlock", call, [renamed(bound["schema"], None)])

    def _inputs(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        """``InputBlock(schema)``; layers behind it put its vectors side by side by themselves."""
        second = self.name(original) == "InputBlockV2"
        bound = self.bound(call, ("schema",), "aggregation", "categorical" if second else "embedding_options")
        if "schema" not in bound:
            raise ValueError("the input block is called without a schema")
        args = [renamed(bound["schema"], None)]
        joined = code(bound["aggregation"].value).strip("'\"") if "aggregation" in bound else "concat"
        if joined not in ("concat", "element-wise-sum"):
            raise ValueError(f"aggregation={joined} has no successor, only 'concat' and 'element-wise-sum'")
        before = self.bound(original, ("schema",), "aggregation", "categorical", "embedding_options")
        width = self._width(before)
        if width is not None:
            args.append(keyword("embedding_dim", width))
        elif second:
            args.append(keyword("embedding_dim", cst.SimpleString('"infer"')))
        if joined != "concat":
            args.append(keyword("aggregation", cst.SimpleString('"sum"')))
        args.append(keyword("combiner", cst.SimpleString('"mean"')))
        return self.written("TabularInputBlock", call, args)

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
        bound = self.bound(call, ("depth",))
        return self.written(
            "CrossBlock", call, [renamed(arg, None) for arg in bound.values()] or [cst.Arg(cst.Integer("1"))]
        )

    def _experts(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        names = ("outputs", "expert_block", "num_experts")
        bound, before = self.bound(call, names), self.bound(original, names)
        if set(bound) != set(names):
            raise ValueError("MMOEBlock is followed with outputs, expert_block and num_experts")
        outputs = bound["outputs"].value
        if self.name(self.rule.origin(before["outputs"].value)) in OF_SCHEMA:
            outputs = self.rule.new("list(__outputs__.outputs)", outputs=outputs)
        args = [renamed(bound["expert_block"], None), keyword("num_experts", bound["num_experts"].value)]
        return self.written("MMOEBlock", call, [*args, keyword("outputs", outputs)])
