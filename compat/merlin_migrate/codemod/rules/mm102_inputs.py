"""``TabularSequenceFeatures.from_schema`` to ``TabularInputBlock``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import ROOM, bind, code, fit, keyword, relaid, renamed, with_args
from merlin_migrate.codemod.maskings import ARGUMENTS, NAMES, REGISTRY, masking_of
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.vectors import OF_VECTORS, Vectors, trainable

FROM_SCHEMA = "transformers4rec.torch.TabularSequenceFeatures.from_schema"
PARAMETERS = (
    "schema",
    "continuous_tags",
    "categorical_tags",
    "pretrained_embeddings_tags",
    "aggregation",
    "automatic_build",
    "max_sequence_length",
    "continuous_projection",
    "continuous_soft_embeddings",
    "projection",
    "d_output",
    "masking",
)
SAME = ("max_sequence_length", "continuous_projection")
PARTS = ("to_merge", "categorical_module", "continuous_module", "pretrained_module", "pre", "post")
"""Attributes of the old block that hold its parts."""
WITHOUT_EFFECT = {("automatic_build", "True")}


class InputsRule(Rule):
    """The arguments of the inputs one by one; the masking, a string before, becomes an object."""

    number: ClassVar[str] = "MM102"
    title: ClassVar[str] = "inputs and masking"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._blocks: set[cst.CSTNode] = set()
        self._matrices: set[cst.CSTNode] = set()

    def visit_Module(self, node: cst.Module) -> None:
        """Finds the input blocks that are rewritten, and the vectors that their tables start from."""
        for call in self.calls():
            bound = bind(call, PARAMETERS) if self.is_call_of(call, FROM_SCHEMA) else None
            if bound is None:
                continue
            try:
                self._arguments(bound, multiline=False)
                Vectors(self, bound).arguments()
            except ValueError:
                continue
            self._blocks.add(call)
            self._matrices.update(Vectors(self, bound).initializers().values())

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """``inputs.item_embedding_table``, and parts that an input block has no more."""
        attr = original_node.attr.value
        if (
            attr not in ("item_embedding_table", *PARTS)
            or self.origin(original_node.value) not in self._blocks
        ):
            return updated_node
        if attr in PARTS:
            self.mark(
                f"an input block has no {attr}: the table of the items is inputs.item_table, that of "
                "another column model.extract(name)",
                "inputs",
            )
            return updated_node
        self.done()
        return updated_node.with_changes(attr=cst.Name("item_table"))

    def leave_Comparison(
        self, original_node: cst.Comparison, updated_node: cst.Comparison
    ) -> cst.BaseExpression:
        """``name in masking_registry``: the names, where the program registers none of its own."""
        comparison = original_node.comparisons[0]
        entry = self.entry(comparison.comparator)
        tests = isinstance(comparison.operator, (cst.In, cst.NotIn)) and len(original_node.comparisons) == 1
        if entry is None or entry.name != REGISTRY or not tests or "register" in self.program.bound:
            return updated_node
        names = cst.Tuple([cst.Element(cst.SimpleString(f'"{name}"')) for name in NAMES])
        self.done()
        return updated_node.with_changes(
            comparisons=[updated_node.comparisons[0].with_changes(comparator=names)]
        )

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """One call of ``from_schema``; what a table starts from becomes the matrix itself."""
        if original_node in self._matrices:
            self.done()
            return trainable(updated_node)[0]
        if not self.is_call_of(original_node, FROM_SCHEMA):
            return updated_node
        bound, before = bind(updated_node, PARAMETERS), bind(original_node, PARAMETERS)
        if bound is None or before is None:
            self.mark("arguments that come from * or ** cannot be followed", "inputs")
            return updated_node
        try:
            args = self._arguments(bound, multiline="\n" in code(original_node))
            args += Vectors(self, before).arguments()
            if "\n" in code(original_node):
                args = [self._spread(arg, self.depth(original_node) + 4) for arg in args]
        except ValueError as error:
            self.mark(str(error), "inputs")
            return updated_node
        self.done()
        call = with_args(updated_node.with_changes(func=self.api("TabularInputBlock")), args)
        block = self.depth(original_node)
        column = self.column(original_node)
        return relaid(fit(call, column=column, block=block), column=column, block=block)  # type: ignore[arg-type]

    @staticmethod
    def _spread(arg: cst.Arg, column: int) -> cst.Arg:
        """A long argument of a call that is spread over lines, spread over lines too."""
        name = len(arg.keyword.value) + 1 if arg.keyword else 0
        if "\n" in code(arg.value) or column + name + len(code(arg.value)) < ROOM:
            return arg
        return arg.with_changes(value=fit(arg.value, column=ROOM, indent="    ", block=column - 4))

    def _arguments(self, bound: Mapping[str, cst.Arg], *, multiline: bool) -> list[cst.Arg]:
        if "schema" not in bound:
            raise ValueError("from_schema is called without a schema")
        args = [renamed(bound["schema"], None)]
        for name, arg in bound.items():
            if name in ("schema", *ARGUMENTS, *OF_VECTORS):
                continue
            if name in SAME:
                args.append(renamed(arg, name))
                if name == "max_sequence_length" and code(arg.value) != "None":
                    args += self.quirks([keyword("pad_to", arg.value)])
            elif name == "aggregation":
                args += self._aggregation(arg)
            elif name in ("embedding_dim_default", "embedding_dims"):
                args += self._widths(name, arg, bound)
            elif name == "d_output":
                args += (
                    [] if code(arg.value) == "None" else [renamed(arg, "projection", self._mlp(arg.value))]
                )
            elif name == "projection":
                args.append(renamed(arg, "projection"))
            elif name == "masking":
                options = {given: bound[given].value for given in ARGUMENTS if given in bound}
                made = masking_of(self, arg.value, options, multiline=multiline)
                args += [] if made is None else [renamed(arg, "masking", made)]
                if made is None:
                    args += self.quirks([keyword("attend_to_padding", cst.Name("True"))])
            elif (name, code(arg.value)) not in WITHOUT_EFFECT:
                raise ValueError(f"the argument {name} has no successor yet")
        if "masking" not in bound:
            args += self.quirks([keyword("attend_to_padding", cst.Name("True"))])
        return args

    @staticmethod
    def _widths(name: str, arg: cst.Arg, bound: Mapping[str, cst.Arg]) -> list[cst.Arg]:
        both = {"embedding_dim_default", "embedding_dims"} <= set(bound)
        default = bound.get("embedding_dim_default")
        if both and default is not None and code(default.value) != "64":
            raise ValueError(
                "with embedding_dims the tables that are not named have the width 64: name all columns there"
            )
        if code(arg.value) == "None" or (both and name == "embedding_dim_default"):
            return []
        return [renamed(arg, "embedding_dim")]

    def _mlp(self, width: cst.BaseExpression) -> cst.BaseExpression:
        return cst.Call(self.api("MLPBlock"), [cst.Arg(cst.List([cst.Element(width)]))])

    @staticmethod
    def _aggregation(arg: cst.Arg) -> list[cst.Arg]:
        text = code(arg.value)
        if text == "None":
            return []
        if text.strip("'\"") == "element-wise-sum":
            return [renamed(arg, "aggregation", cst.SimpleString('"sum"'))]
        if text.strip("'\"") != "concat":
            raise ValueError(
                f"the aggregation {text} has no successor yet, only 'concat' and 'element-wise-sum'"
            )
        return [renamed(arg, "aggregation")]
