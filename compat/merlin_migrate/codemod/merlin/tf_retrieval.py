"""Retrieval models of ``merlin.models.tf``, V1 and V2."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst

from merlin_migrate.codemod.layout import code, is_plain, keyword, renamed
from merlin_migrate.codemod.merlin.builders import ADAM
from merlin_migrate.codemod.merlin.tf_definitions import Definitions, Way
from merlin_migrate.codemod.merlin.tf_metrics import RankingMetricsOfTensorFlow
from merlin_migrate.codemod.merlin.towers import plain_units
from merlin_migrate.codemod.rule import Rule

TOWERS = (
    *("schema", "query_tower", "item_tower", "query_tower_tag", "item_tower_tag", "embedding_options"),
    *("post", "prediction_tasks", "logits_temperature", "loss", "samplers"),
)


class RetrievalOfTensorFlow(Definitions):
    """Writes models of two towers, and those that predict items.

    Args:
        rule: that asks for it.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        # Encoders in variables that a model of two towers takes up.
        self.taken: set[cst.CSTNode] = set()
        self._metrics = RankingMetricsOfTensorFlow(rule)

    def ways(self) -> dict[str, Way]:
        """By name of the old class."""
        return {
            "YoutubeDNNRetrievalModel": self._youtube,
            "YoutubeDNNRetrievalModelV2": self._youtube,
            "TwoTowerModelV2": self._two_encoders,
            "TwoTowerModel": self._two_tower,
            "MatrixFactorizationModel": self._factorization,
        }

    def _two_tower(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        before, after = self.bound(original, TOWERS, "metrics"), self.bound(call, TOWERS, "metrics")
        self.refused(before, *(set(TOWERS) - {"schema", "query_tower", "item_tower", "samplers"}))
        if "query_tower" not in before:
            raise ValueError("TwoTowerModel is called without query_tower")
        units, dropout = plain_units(self.tower_of(before["query_tower"].value), "the query tower")
        own = [keyword("units", units)]
        if "item_tower" in before:
            others, same = plain_units(self.tower_of(before["item_tower"].value), "the item tower")
            if (None if same is None else code(same)) != (None if dropout is None else code(dropout)):
                raise ValueError("the two towers have other dropout, which the builder's have not")
            own.append(keyword("candidate_units", others))
        if dropout is not None:
            own.append(keyword("dropout", dropout))
        return self.built("TwoTowerModel", call, after, [*own, *self._output(before, after)])

    def _factorization(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        parameters = ("schema", "dim")
        bound = self.bound(call, parameters, "samplers", "metrics")
        before = self.bound(original, parameters, "samplers", "metrics")
        if "dim" not in bound:
            raise ValueError("MatrixFactorizationModel is called without dim")
        own = [keyword("dim", bound["dim"].value), *self._output(before, bound)]
        return self.built("MatrixFactorizationModel", call, bound, own)

    def _output(self, before: Mapping[str, cst.Arg], after: Mapping[str, cst.Arg]) -> list[cst.Arg]:
        """``output=`` with the negatives and metrics that a model was given, if it was given some."""
        args = []
        if "samplers" in before:
            self._check_samplers(before["samplers"].value)
            args.append(self._in_batch())
        if "metrics" in before:
            args += self._metrics.arguments(before["metrics"].value)
        if not args or "schema" not in after:
            return []
        return [self._of_two_towers(after["schema"].value, args)]

    def _in_batch(self) -> cst.Arg:
        return keyword("negatives", cst.Call(self.rule.api("InBatchNegatives"), []))

    def _of_two_towers(self, schema: cst.BaseExpression, args: list[cst.Arg]) -> cst.Arg:
        """``output=`` for the column that a schema tags as item id."""
        if not is_selection(schema):
            raise ValueError("the schema is computed in the call: give it a name before")
        item = self.rule.new("__schema__.select(mm.Tags.ITEM_ID)", schema=schema)
        return keyword("output", cst.Call(self.rule.api("TwoTowerOutput"), [cst.Arg(item), *args]))

    def _check_samplers(self, samplers: cst.BaseExpression) -> None:
        """Raises a ValueError for other negatives than the items of the batch."""
        elements = samplers.elements if isinstance(samplers, (cst.List, cst.Tuple)) else ()
        made = [self.rule.origin(element.value) for element in elements]
        plain = [self.name(one) for one in made if isinstance(one, cst.Call) and not one.args]
        if not made or len(plain) < len(made) or set(plain) - {"InBatchSampler", "InBatchSamplerV2"}:
            raise ValueError("the samplers are given as negatives= of mm.TwoTowerOutput")

    def _two_encoders(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        """``TwoTowerModelV2(Encoder(...), Encoder(...))``: what each tower reads, and its units."""
        bound = self.bound(original, ("query_tower", "candidate_tower"), "negative_samplers")
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
        if "negative_samplers" in bound:
            args.append(self._of_two_towers(candidate, [self._in_batch()]))
        return self.written("TwoTowerModel", call, [*args, keyword("optimizer", self.rule.new(ADAM))])

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

    def _youtube(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        names = ("schema", "aggregation", "top_block", "l2_normalization")
        more = ("top_block", "num_sampled", "logits_temperature", "l2_normalization", "aggregation")
        second = self.name(original) == "YoutubeDNNRetrievalModelV2"
        before = self.bound(original, ("schema",) if second else names, *more)
        bound = self.bound(call, ("schema",) if second else names, *more)
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
        return self.built("YoutubeDNNRetrievalModel", call, bound, own)


def is_selection(node: cst.BaseExpression) -> bool:
    """Whether an expression is a schema's name, or columns chosen from one, which may be written twice."""
    if is_plain(node):
        return True
    func = node.func if isinstance(node, cst.Call) else None
    chosen = isinstance(func, cst.Attribute) and func.attr.value.startswith(
        ("select", "excluding", "without")
    )
    return chosen and isinstance(node, cst.Call) and all(is_plain(arg.value) for arg in node.args)
