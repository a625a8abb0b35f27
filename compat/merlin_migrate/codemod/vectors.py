"""Vectors of single columns: given ones, soft embeddings, layer norms, as options of the input block."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, is_plain, keyword, parse
from merlin_migrate.codemod.rule import Rule

INITIALIZER = "transformers4rec.torch.PretrainedEmbeddingsInitializer"
SOFT = {"soft_embedding_cardinality_default": "10", "soft_embedding_dim_default": "8"}
OF_VECTORS = ("embeddings_initializers", "continuous_soft_embeddings", *SOFT, "layer_norm", "post")


class Vectors:
    """What ``from_schema`` was told of the vectors of columns.

    Args:
        rule: that asks.
        bound: arguments of ``from_schema`` by name, as they are in the program or already rewritten.
    """

    def __init__(self, rule: Rule, bound: Mapping[str, cst.Arg]) -> None:
        self.rule = rule
        self.bound = bound
        self.schema = bound["schema"].value if "schema" in bound else cst.Name("schema")

    def _text(self, name: str, default: str) -> str:
        return code(self.bound[name].value) if name in self.bound else default

    def initializers(self) -> dict[cst.CSTNode, cst.CSTNode]:
        """The calls that make initial vectors, by the node that gives each to its column; variables only."""
        return {value: call for _, value, call in self._given() if value is not call}

    def _given(self) -> list[tuple[cst.BaseExpression, cst.BaseExpression, cst.Call]]:
        """Column, what is given for it, and the call that made that."""
        if self._text("embeddings_initializers", "None") == "None":
            return []
        display = self.rule.origin(self.bound["embeddings_initializers"].value)
        if not isinstance(display, cst.Dict):
            raise ValueError("embeddings_initializers is not a dict written in the same function")
        found = []
        for element in display.elements:
            call = self.rule.origin(element.value) if isinstance(element, cst.DictElement) else None
            if not isinstance(call, cst.Call) or not isinstance(element, cst.DictElement):
                raise ValueError(f"the initializer {code(element.value)} cannot be followed")
            if not self.rule.is_call_of(call, INITIALIZER):
                raise ValueError(
                    f"the initializer {code(element.value)} has no successor: mm.EmbeddingTable takes weights"
                )
            if isinstance(element.value, cst.Name) and len(self.rule.uses(element.value)) != 1:
                raise ValueError(f"the initializer {code(element.value)} is used more than once")
            trainable(call)
            found.append((element.key, element.value, call))
        return found

    def arguments(self) -> list[cst.Arg]:
        """``embeddings`` and ``layer_norm`` of the new block.

        Raises:
            ValueError: for what has no successor.
        """
        modules: list[cst.BaseDictElement] = []
        tables = self._given()
        norm = self._norm()
        soft = self._soft(everywhere=norm)
        if (tables or soft) and not is_plain(self.schema):
            raise ValueError("the schema is computed in the call: give it a name before")
        for column, value, call in tables:
            matrix, learned = trainable(call)
            args = [
                cst.Arg(cst.Subscript(self.schema, [cst.SubscriptElement(cst.Index(column))])),
                keyword("weights", matrix if value is call else value),
            ]
            args += [] if learned else [keyword("trainable", cst.Name("False"))]
            modules.append(cst.DictElement(column, cst.Call(self.rule.api("EmbeddingTable"), args)))
        if soft is not None:
            modules.append(cst.StarredDictElement(soft))
        found = [keyword("embeddings", cst.Dict(modules))] if modules else []
        return found + ([keyword("layer_norm", cst.Name("True"))] if norm else [])

    def _norm(self) -> bool:
        """Whether every column's vectors are normalised."""
        text = self._text("post", "None").replace("'", '"')
        if text == "None":
            return False
        if text not in ('"layer-norm"', '["layer-norm"]', '("layer-norm",)'):
            raise ValueError(f"the argument post={text} has no successor, only 'layer-norm'")
        if self._text("continuous_projection", "None") != "None":
            raise ValueError(
                "post='layer-norm' did not reach the projection of continuous columns: give "
                "mm.FeatureLayerNorm to the block by hand"
            )
        return True

    def _soft(self, *, everywhere: bool) -> cst.BaseExpression | None:
        """Soft embeddings of all continuous columns, by name."""
        text = self._text("continuous_soft_embeddings", "False")
        if text == "False":
            return None
        if text != "True":
            raise ValueError("continuous_soft_embeddings is not written as True or False")
        own = self._text("layer_norm", "True")
        if own not in ("True", "False"):
            raise ValueError("layer_norm is not written as True or False")
        parts = {
            name: self.bound[name].value if name in self.bound else cst.parse_expression(default)
            for name, default in SOFT.items()
        }
        rows, width = parts.values()
        if not is_plain(rows) or not is_plain(width):
            raise ValueError("the size of soft embeddings is computed in the call: give it a name before")
        made: cst.BaseExpression = cst.Call(
            self.rule.api("SoftEmbedding"), [cst.Arg(width), keyword("vectors", rows)]
        )
        if own == "True" and not everywhere:
            self.rule.program.imports.add("torch")
            made = parse(
                "torch.nn.Sequential(__made__, torch.nn.LayerNorm(__w__))", {"made": made, "w": width}
            )
        tags = cst.Attribute(self.rule.api("Tags"), cst.Name("CONTINUOUS"))
        return parse(
            "{c.name: __made__ for c in __schema__.select(__tags__)}",
            {"made": made, "schema": self.schema, "tags": tags},
        )


def trainable(call: cst.Call) -> tuple[cst.BaseExpression, bool]:
    """The matrix of a ``PretrainedEmbeddingsInitializer``, and whether it is learned.

    Raises:
        ValueError: if that is not written as True or False.
    """
    bound = bind(call, ("weight_matrix", "trainable"))
    if bound is None or "weight_matrix" not in bound:
        raise ValueError("the arguments of PretrainedEmbeddingsInitializer cannot be followed")
    text = code(bound["trainable"].value) if "trainable" in bound else "False"
    if text not in ("True", "False"):
        raise ValueError("trainable of PretrainedEmbeddingsInitializer is not written as True or False")
    return bound["weight_matrix"].value, text == "True"
