"""Input blocks of V1: ``TabularFeatures.from_schema``, and parts that ``MergeTabular`` put together."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, keyword, literal, parse, renamed
from merlin_migrate.codemod.merlin.uses import short
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.vectors import OF_VECTORS, Vectors

_WITHOUT_EFFECT = {"automatic_build": ("True",), "max_sequence_length": (), "combiner": ("mean",)}
_FROM_SCHEMA = (
    *("schema", "continuous_tags", "categorical_tags", "aggregation", "automatic_build"),
    *("max_sequence_length", "continuous_projection", "continuous_soft_embeddings"),
)
_TAGS = ("continuous_tags", "categorical_tags")
_REASONS = {
    **dict.fromkeys(
        _TAGS,
        "tags {} of TabularFeatures: give the columns alone, such as schema.select(mm.Tags.CATEGORICAL)",
    ),
    "pre": "pre={} of TabularFeatures was applied to the ids only, before their tables, noise in evaluation, "
    "too: swap_noise= of mm.TabularInputBlock swaps ids and numbers, in training only; for another "
    "transformation write a torch.nn.Module of a batch and give mm.BatchBlock(module) to the model first",
    "infer_embedding_sizes": "infer_embedding_sizes={} made tables of twice the fourth root of their rows, "
    "rounded up: give embedding_dim= by domain",
    "combiner": "combiner={} of TabularFeatures is given as combiner= of mm.TabularInputBlock, which leaves "
    "padding out",
}
"""Why an argument has no successor, and what to write."""
_STACKED = (
    'the aggregation {} put columns behind the width: aggregation="stack" of mm.TabularInputBlock has them '
    "before it, (B, F, D), for mm.DLRMBlock or a module of your own"
)
_OWN = (
    "the aggregation {} is not one of V1's: a torch.nn.Module that makes one tensor of vectors by name, "
    "without forward_output_size, is given to mm.TabularInputBlock as aggregation="
)
_JOINED = {
    **dict.fromkeys(("concat", "ConcatFeatures"), "concat"),
    **dict.fromkeys(("element-wise-sum", "ElementwiseSum"), "sum"),
}
_TABLE = ("vocabulary_size", "dim", "initializer", "combiner", "name")


class InputsOfV1:
    """Writes input blocks in the new names.

    Args:
        rule: that asks for it.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def name(self, node: cst.CSTNode | None) -> str:
        """What is called, from its class on; empty if it is no name of V1."""
        name = self.rule.qualified(node.func) if isinstance(node, cst.Call) else None
        return short(name) if name and name.startswith("merlin.models.torch.") else ""

    def from_schema(self, call: cst.Call) -> list[cst.Arg]:
        """Arguments of ``mm.TabularInputBlock``.

        Raises:
            ValueError: if something has no successor.
        """
        bound = bind(call, _FROM_SCHEMA)
        if bound is None or "schema" not in bound:
            raise ValueError(
                "TabularFeatures.from_schema is followed with a schema and further arguments by name"
            )
        args = [renamed(bound["schema"], None)]
        joined = False
        for name, arg in bound.items():
            text = code(arg.value).strip("'\"")
            if name == "schema" or name in OF_VECTORS or (text == "None" and name not in _TAGS):
                continue
            if name == "aggregation":
                args.append(self._joined(arg))
                joined = True
            elif name == "continuous_projection":
                args.append(renamed(arg, name))
            elif name in ("embedding_dim_default", "embedding_dims"):
                args += _widths(name, arg, bound)
            elif name not in _WITHOUT_EFFECT or (_WITHOUT_EFFECT[name] and text not in _WITHOUT_EFFECT[name]):
                reason = _REASONS.get(name, f"the argument {name}={{}} of TabularFeatures has no successor")
                raise ValueError(reason.format(code(arg.value)))
        if not joined:
            raise ValueError("the inputs are not joined by aggregation= where they are made")
        args += Vectors(self.rule, self._named(bound)).arguments()
        return [*args, keyword("combiner", cst.SimpleString('"mean"'))]

    def parts(self, call: cst.Call) -> list[cst.Call]:
        """Aggregations and transformations made for :meth:`from_schema`, which the new block has by name."""
        bound = bind(call, _FROM_SCHEMA) or {}
        found = [self.rule.origin(bound[name].value) for name in ("aggregation", "post") if name in bound]
        return [part for part in found if isinstance(part, cst.Call) and self.name(part)]

    def _named(self, bound: Mapping[str, cst.Arg]) -> Mapping[str, cst.Arg]:
        """The arguments with ``post=TabularLayerNorm()`` as the name that it is registered under."""
        made = self.rule.origin(bound["post"].value) if "post" in bound else None
        if self.name(made) != "TabularLayerNorm" or not isinstance(made, cst.Call) or made.args:
            return bound
        return {**bound, "post": renamed(bound["post"], "post", cst.SimpleString('"layer-norm"'))}

    def _joined(self, arg: cst.Arg) -> cst.Arg:
        """``aggregation=`` of the new block."""
        made = self.rule.origin(arg.value)
        text = code(arg.value).strip("'\"")
        name = (self.name(made) or code(made.func)) if isinstance(made, cst.Call) else text
        if name == "ElementwiseSumItemMulti" and isinstance(made, cst.Call):
            return renamed(arg, "aggregation", self._times_item(made))
        if name in ("stack", "StackFeatures"):
            raise ValueError(_STACKED.format(text))
        if name not in _JOINED:
            raise ValueError(_OWN.format(text))
        return renamed(arg, "aggregation", cst.SimpleString(f'"{_JOINED[name]}"'))

    def _times_item(self, call: cst.Call) -> cst.BaseExpression:
        """The sum of the other vectors times the item's, whose column the schema tells."""
        bound = bind(call, ("schema",))
        if bound is None or "schema" not in bound:
            raise ValueError("ElementwiseSumItemMulti is followed with its schema only")
        return self.rule.new(
            "mm.ElementwiseSumItemMulti(__schema__.select(mm.Tags.ITEM_ID).column_names[0])",
            schema=self.rule.rewritten(bound["schema"].value),
        )

    def merged(self, call: cst.Call) -> tuple[list[cst.Arg], list[cst.Call]]:
        """Arguments of ``mm.TabularInputBlock`` for a ``MergeTabular``, and the calls that they take up.

        Raises:
            ValueError: if something has no successor.
        """
        taken: list[cst.Call] = []
        columns: list[cst.BaseExpression] = []
        widths: list[tuple[str, cst.BaseExpression]] = []
        aggregation = None
        for arg in call.args:
            if arg.keyword is not None and arg.keyword.value == "aggregation":
                aggregation = arg
                if isinstance(arg.value, cst.Call):
                    taken.append(arg.value)
                continue
            part = self.rule.origin(arg.value)
            if arg.keyword is not None or arg.star or not isinstance(part, cst.Call):
                raise ValueError("MergeTabular is followed with blocks made in the same function only")
            taken.append(part)
            if self.name(part) == "EmbeddingFeatures":
                for name, table, calls in self._tables(part):
                    taken += calls
                    columns.append(self._ids(name, table["vocabulary_size"].value))
                    widths.append((name, table["dim"].value))
            elif self.name(part) in ("ContinuousFeatures", "ContinuousFeatures.from_features"):
                columns += [self._number(name) for name in _names(part)]
            else:
                raise ValueError(f"{code(arg.value)} is no EmbeddingFeatures or ContinuousFeatures made here")
        if aggregation is None:
            raise ValueError("the inputs are not joined by aggregation= where they are made")
        schema = cst.Call(self.rule.api("Schema"), [cst.Arg(cst.List([cst.Element(c) for c in columns]))])
        args = [cst.Arg(schema), self._joined(aggregation)]
        if widths:
            args.append(keyword("embedding_dim", _dims(widths)))
            args.append(keyword("combiner", cst.SimpleString('"mean"')))
        return args, taken

    def _tables(self, call: cst.Call) -> list[tuple[str, Mapping[str, cst.Arg], list[cst.Call]]]:
        """Columns of an ``EmbeddingFeatures``: name, arguments of the table, and calls taken up."""
        bound = bind(call, ("feature_config",))
        display = self.rule.origin(bound["feature_config"].value) if bound and len(bound) == 1 else None
        if not isinstance(display, cst.Dict):
            raise ValueError("EmbeddingFeatures is followed with a dict of FeatureConfig written here only")
        found: list[tuple[str, Mapping[str, cst.Arg], list[cst.Call]]] = []
        for element in display.elements:
            config = self.rule.origin(element.value)
            if not isinstance(element, cst.DictElement) or not isinstance(config, cst.Call):
                raise ValueError(f"the configuration {code(element.value)} cannot be followed")
            given = bind(config, ("table",))
            table = (
                self.rule.origin(given["table"].value) if given and {*given} <= {"table", "name"} else None
            )
            if not isinstance(table, cst.Call):
                raise ValueError(f"the configuration {code(element.value)} cannot be followed")
            sizes = bind(table, _TABLE)
            if (
                self.name(table) != "TableConfig"
                or sizes is None
                or not {"vocabulary_size", "dim"} <= set(sizes)
            ):
                raise ValueError(f"the table {code(table)} cannot be followed")
            if "initializer" in sizes and code(sizes["initializer"].value) != "None":
                raise ValueError(
                    "the initializer of a table has no successor: mm.EmbeddingTable takes weights"
                )
            if "combiner" in sizes and code(sizes["combiner"].value).strip("'\"") != "mean":
                raise ValueError("a combiner other than 'mean' is given as combiner= of mm.TabularInputBlock")
            found.append((str(literal(element.key)), sizes, [config, table]))
        return found

    def _ids(self, name: str, rows: cst.BaseExpression) -> cst.BaseExpression:
        """A column of ids; ids of tables of one configuration were not shared, so each has its own domain."""
        largest = cst.parse_expression(
            f"{int(rows.value) - 1}" if isinstance(rows, cst.Integer) else f"{code(rows)} - 1"
        )
        return self.rule.new(
            f'mm.ColumnSchema("{name}", tags=[mm.Tags.CATEGORICAL], dtype="int64", '
            f'properties={{"domain": {{"min": 0, "max": __largest__, "name": "{name}"}}}})',
            largest=largest,
        )

    def _number(self, name: str) -> cst.BaseExpression:
        return self.rule.new(f'mm.ColumnSchema("{name}", tags=[mm.Tags.CONTINUOUS], dtype="float32")')


def _names(call: cst.Call) -> list[str]:
    bound = bind(call, ("features",))
    names = literal(bound["features"].value) if bound and set(bound) == {"features"} else None
    if not isinstance(names, (list, tuple)):
        raise ValueError("the columns of ContinuousFeatures are not a list written in the call")
    return [str(name) for name in names]


def _widths(name: str, arg: cst.Arg, bound: Mapping[str, cst.Arg]) -> list[cst.Arg]:
    both = {"embedding_dim_default", "embedding_dims"} <= set(bound)
    if both and code(bound["embedding_dim_default"].value) != "64":
        raise ValueError(
            "with embedding_dims the tables that are not named have the width 64: name all columns there"
        )
    return [] if both and name == "embedding_dim_default" else [renamed(arg, "embedding_dim")]


def _dims(widths: list[tuple[str, cst.BaseExpression]]) -> cst.BaseExpression:
    """One width where all are the same, or widths by column."""
    if len({code(width) for _, width in widths}) == 1:
        return widths[0][1]
    items = ", ".join(f'"{name}": __w{i}__' for i, (name, _) in enumerate(widths))
    return parse(f"{{{items}}}", {f"w{i}": width for i, (_, width) in enumerate(widths)})
