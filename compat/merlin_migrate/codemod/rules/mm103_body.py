"""``SequentialBlock``, ``MLPBlock``, ``XLNetConfig.build`` and ``TransformerBlock``."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, fit, keyword, renamed, with_args
from merlin_migrate.codemod.rule import Rule

XLNET = (
    "d_model",
    "n_head",
    "n_layer",
    "total_seq_length",
    "attn_type",
    "hidden_act",
    "initializer_range",
    "layer_norm_eps",
    "dropout",
    "pad_token",
    "log_attention_weights",
    "mem_len",
)
RENAMED = {"n_head": "heads", "n_layer": "layers", "hidden_act": "activation", "d_inner": "inner_dim"}
KEPT = ("initializer_range", "layer_norm_eps", "dropout")
OLD_DEFAULTS = {"dropout": "0.3", "layer_norm_eps": "0.03", "initializer_range": "0.01"}
DROPPED = {
    "attn_type": '"bi"',
    "pad_token": "0",
    "log_attention_weights": "False",
    "mem_len": "1",
    "total_seq_length": "",
}
MLP = ("dimensions", "activation", "use_bias", "dropout", "normalization", "filter_features")
ACTIVATIONS = {
    "None": "none",
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "GELU": "gelu",
    "SiLU": "silu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
}
HF_ACTIVATIONS = {
    "gelu": "gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
    "gelu_new": "gelu_tanh",
}


class BodyRule(Rule):
    """The layers between inputs and output; a config becomes the block itself."""

    number: ClassVar[str] = "MM103"
    title: ClassVar[str] = "body"

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """One constructor of a layer."""
        tr = "transformers4rec.torch"
        try:
            if self.is_call_of(original_node, f"{tr}.SequentialBlock"):
                return self._sequential(updated_node)
            if self.is_call_of(original_node, f"{tr}.MLPBlock"):
                return self._mlp(updated_node)
            if self.is_call_of(original_node, f"{tr}.XLNetConfig.build"):
                block = self._xlnet(updated_node)
                return fit(block, column=self.column(original_node), block=self.depth(original_node))
            if self.is_call_of(original_node, f"{tr}.TransformerBlock"):
                return self._transformer(original_node, updated_node)
        except ValueError as error:
            self.mark(str(error), "body")
        return updated_node

    def _sequential(self, call: cst.Call) -> cst.BaseExpression:
        args = [arg for arg in call.args if not (arg.keyword and arg.keyword.value == "output_size")]
        if any(arg.keyword or arg.star == "**" for arg in args):
            raise ValueError("SequentialBlock has an argument without successor")
        self.done()
        return with_args(call.with_changes(func=self.api("Block")), args)

    def _mlp(self, call: cst.Call) -> cst.BaseExpression:
        bound = bind(call, MLP)
        if bound is None or "dimensions" not in bound:
            raise ValueError("the arguments of MLPBlock cannot be followed")
        args = []
        for name, arg in bound.items():
            text = code(arg.value)
            if name == "dimensions":
                args.append(renamed(arg, None, self._widths(arg.value)))
            elif name == "activation":
                last = text.rpartition(".")[2]
                if last not in ACTIVATIONS:
                    raise ValueError(f"the activation {text} has no successor")
                if last != "ReLU":
                    args.append(renamed(arg, "activation", cst.SimpleString(f'"{ACTIVATIONS[last]}"')))
            elif name == "use_bias":
                args += [] if text == "True" else [renamed(arg, "bias")]
            elif name == "dropout":
                args += [] if text == "None" else [renamed(arg, "dropout")]
            elif text != "None":
                raise ValueError(f"the argument {name} of MLPBlock has no successor")
        self.done()
        return with_args(call.with_changes(func=self.api("MLPBlock")), args)

    @staticmethod
    def _widths(value: cst.BaseExpression) -> cst.BaseExpression:
        if isinstance(value, (cst.List, cst.Tuple)):
            return value
        if isinstance(value, cst.Integer):
            return cst.List([cst.Element(value)])
        raise ValueError("the widths of MLPBlock are a variable: it has to be a list, also for one layer")

    def _xlnet(self, call: cst.Call) -> cst.BaseExpression:
        bound = bind(call, XLNET)
        if bound is None or not {"d_model", "n_head", "n_layer"} <= set(bound):
            raise ValueError("the arguments of XLNetConfig.build cannot be followed")
        args = [renamed(bound["d_model"], None)]
        for name, arg in bound.items():
            text = code(arg.value)
            if name == "d_model":
                continue
            if name == "hidden_act":
                activation = HF_ACTIVATIONS.get(text.strip("'\""))
                if activation is None:
                    raise ValueError(f"the activation {text} has no successor")
                args.append(renamed(arg, "activation", cst.SimpleString(f'"{activation}"')))
            elif name in RENAMED or name in KEPT:
                args.append(renamed(arg, RENAMED.get(name, name)))
            elif name not in DROPPED or DROPPED[name] not in ("", text.replace("'", '"')):
                raise ValueError(f"the argument {name}={text} of XLNetConfig.build has no successor")
        for name, default in OLD_DEFAULTS.items():
            if name not in bound:
                args.append(keyword(name, cst.Float(default)))
        self.done()
        return with_args(call.with_changes(func=self.api("XLNetBlock")), args)

    def _transformer(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        bound = bind(call, ("transformer", "masking", "prepare_module", "output_fn"))
        if bound is None or not {"transformer"} <= set(bound) <= {"transformer", "masking"}:
            raise ValueError("the arguments of TransformerBlock cannot be followed")
        source = self.origin(next(a.value for a in original.args if self._is(a, "transformer")))
        if not self.is_call_of(source, "transformers4rec.torch.XLNetConfig.build"):
            raise ValueError("TransformerBlock is rewritten over XLNetConfig.build in the same function only")
        self.done()
        return bound["transformer"].value

    @staticmethod
    def _is(arg: cst.Arg, name: str) -> bool:
        return arg.keyword is None or arg.keyword.value == name
