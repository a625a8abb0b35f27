"""``TabularSequenceFeatures.from_schema`` to ``TabularInputBlock``, quirks of old maskings written out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, fit, keyword, literal, renamed, with_args
from merlin_migrate.codemod.rule import Rule

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
RANDOM = ("mlm", "masked")
CAUSAL = ("causal", "clm")
OTHER = ("plm", "permutation", "rtd", "replacement")
WITHOUT_EFFECT = {("continuous_soft_embeddings", "False"), ("automatic_build", "True")}
MASKING_ARGUMENTS = (
    "mlm_probability",
    "train_on_last_item_seq_only",
    "eval_on_last_item_seq_only",
    "padding_idx",
)


REGISTRY = "transformers4rec.torch.masking.masking_registry"


class InputsRule(Rule):
    """The arguments of the inputs one by one; the masking, a string before, becomes an object."""

    number: ClassVar[str] = "MM102"
    title: ClassVar[str] = "inputs and masking"

    def leave_Comparison(
        self, original_node: cst.Comparison, updated_node: cst.Comparison
    ) -> cst.BaseExpression:
        """``name in masking_registry``: the names, where the program registers none of its own."""
        comparison = original_node.comparisons[0]
        entry = self.entry(comparison.comparator)
        tests = isinstance(comparison.operator, (cst.In, cst.NotIn)) and len(original_node.comparisons) == 1
        if entry is None or entry.name != REGISTRY or not tests or "register" in self.program.bound:
            return updated_node
        names = cst.Tuple([cst.Element(cst.SimpleString(f'"{name}"')) for name in (*RANDOM, *CAUSAL, *OTHER)])
        self.done()
        return updated_node.with_changes(
            comparisons=[updated_node.comparisons[0].with_changes(comparator=names)]
        )

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """One call of ``from_schema``."""
        if not self.is_call_of(original_node, FROM_SCHEMA):
            return updated_node
        bound = bind(updated_node, PARAMETERS)
        if bound is None:
            self.mark("arguments that come from * or ** cannot be followed", "inputs")
            return updated_node
        try:
            args = self._arguments(bound, multiline="\n" in code(original_node))
        except ValueError as error:
            self.mark(str(error), "inputs")
            return updated_node
        self.done()
        call = with_args(updated_node.with_changes(func=self.api("TabularInputBlock")), args)
        block = self.depth(original_node)
        return fit(call, column=self.column(original_node), block=block)

    def _arguments(self, bound: Mapping[str, cst.Arg], *, multiline: bool) -> list[cst.Arg]:
        if "schema" not in bound:
            raise ValueError("from_schema is called without a schema")
        args = [renamed(bound["schema"], None)]
        for name, arg in bound.items():
            if name == "schema" or name in MASKING_ARGUMENTS:
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
                args += self._masking(arg, bound, multiline=multiline)
            elif (name, code(arg.value)) not in WITHOUT_EFFECT:
                raise ValueError(f"the argument {name} has no successor yet")
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
        if text.strip("'\"") != "concat":
            raise ValueError(f"the aggregation {text} has no successor yet, only 'concat'")
        return [renamed(arg, "aggregation")]

    def _masking(self, arg: cst.Arg, bound: Mapping[str, cst.Arg], *, multiline: bool) -> list[cst.Arg]:
        if code(arg.value) == "None":
            return []
        if isinstance(arg.value, cst.Call):
            raise ValueError("the masking is an object: it is followed only as a name, such as 'mlm'")
        options = self._options(bound)
        try:
            name = str(literal(arg.value))
        except ValueError:
            return [renamed(arg, "masking", self._choice(arg.value, options, multiline=multiline))]
        return [renamed(arg, "masking", self._object(name, options))]

    @staticmethod
    def _options(bound: Mapping[str, cst.Arg]) -> dict[str, cst.BaseExpression]:
        options = {name: bound[name].value for name in MASKING_ARGUMENTS if name in bound}
        if "padding_idx" in options and code(options.pop("padding_idx")) != "0":
            raise ValueError("padding has the id 0 and no other")
        return options

    def _object(self, name: str, options: Mapping[str, cst.BaseExpression]) -> cst.BaseExpression:
        """The masking of a legacy name."""
        if name in RANDOM:
            args = []
            if "mlm_probability" in options:
                args.append(keyword("probability", options["mlm_probability"]))
            if code(options.get("eval_on_last_item_seq_only", cst.Name("True"))) != "True":
                raise ValueError("evaluation on random items has no successor, only on the last item")
            quirks = ("evaluate_single", "attend_to_padding")
            args += self.quirks([keyword(quirk, cst.Name("True")) for quirk in quirks])
            return cst.Call(self.api("RandomMasking"), args)
        if name in CAUSAL:
            args = []
            for old, new, default in (
                ("train_on_last_item_seq_only", "targets", "False"),
                ("eval_on_last_item_seq_only", "evaluate_on", "True"),
            ):
                text = code(options.get(old, cst.Name(default)))
                if text not in ("True", "False"):
                    raise ValueError(f"{old} is not written as True or False")
                if text != default:
                    args.append(keyword(new, cst.SimpleString('"last"' if text == "True" else '"all"')))
            quirks = ("replace_padding", "blank_last", "attend_to_padding")
            attention = keyword("attention", cst.SimpleString('"full"'))
            args += self.quirks([attention, *(keyword(quirk, cst.Name("True")) for quirk in quirks)])
            return cst.Call(self.api("CausalMasking"), args)
        raise ValueError(f"the masking {name!r} has no successor yet")

    def _choice(
        self, value: cst.BaseExpression, options: Mapping[str, cst.BaseExpression], *, multiline: bool
    ) -> cst.BaseExpression:
        """A dict of maskings by legacy name, looked up by the variable that held the name."""
        if self.program.strings & {*OTHER}:
            raise ValueError("the masking is a variable that may name one without a successor yet")
        written = [name for name in (*RANDOM, *CAUSAL) if name in self.program.strings]
        elements = [
            cst.DictElement(cst.SimpleString(f'"{name}"'), self._object(name, options))
            for name in written or (*RANDOM, *CAUSAL)
        ]
        choice = cst.Subscript(cst.Dict(elements), [cst.SubscriptElement(cst.Index(value))])
        return fit(choice, column=200, indent="    ", block=8) if multiline else choice
