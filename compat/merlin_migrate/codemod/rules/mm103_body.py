"""``SequentialBlock``, ``MLPBlock``, ``XLNetConfig.build`` and ``TransformerBlock``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.configs import BUILD, FIELDS, huggingface_block
from merlin_migrate.codemod.layout import bind, code, fit, keyword, renamed, with_args
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule

TR = "transformers4rec.torch"
# Where the table has the configurations, and their classes.
CONFIGS = {
    name: next(cls for cls in ("XLNetConfig", *FIELDS) if name.endswith(f".{cls}"))
    for name in (
        f"{TR}.XLNetConfig",
        f"{TR}.AlbertConfig",
        f"{TR}.ElectraConfig",
        f"{TR}.GPT2Config",
        "transformers4rec.config.transformer.BertConfig",
        "transformers4rec.config.transformer.RobertaConfig",
    )
}
RECURRENT = {"torch.nn.GRU": "GRUBlock", "torch.nn.LSTM": "LSTMBlock"}
RNN_DEFAULTS = {("bias", "True"), ("dropout", "0"), ("dropout", "0.0"), ("bidirectional", "False")}
RNN = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")

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

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        # Displays of configurations by name, with the arguments that their builders are called with.
        self._chosen: dict[cst.CSTNode, tuple[str, ...]] = {}
        # Whether a masking asks for two streams; under another masking the second one is not used.
        self._permuted = False

    def visit_Module(self, node: cst.Module) -> None:
        """Finds configurations that are picked from a dict."""
        attributes = self.tree.all_of(cst.Attribute)
        self._permuted = any(each.attr.value == "PermutedMasking" for each in attributes)
        for call in self.calls():
            display = self._display(call)
            if display is not None and self._only_built(call, display):
                self._chosen[display] = tuple(arg.keyword.value for arg in call.args if arg.keyword)

    def _display(self, call: cst.Call) -> cst.Dict | None:
        """The dict of configurations that ``CONFIGS[name].build(...)`` picks from."""
        func = call.func
        if not isinstance(func, cst.Attribute) or func.attr.value != "build":
            return None
        picked = func.value
        display = self.origin(picked.value) if isinstance(picked, cst.Subscript) else None
        if not isinstance(display, cst.Dict):
            return None
        known = all(
            isinstance(element, cst.DictElement) and self._config(element.value) is not None
            for element in display.elements
        )
        return display if known else None

    def _only_built(self, call: cst.Call, display: cst.Dict) -> bool:
        """Whether the dict is used for this call alone, all arguments of which have names."""
        picked = call.func.value.value  # type: ignore[attr-defined]
        alone = not isinstance(picked, cst.Name) or len(self.uses(picked)) == 1
        return alone and all(arg.keyword is not None for arg in call.args)

    def _config(self, node: cst.BaseExpression) -> str | None:
        """Class of a configuration, if the node is the name of one."""
        entry = self.entry(node)
        name = self.qualified(node)
        if entry is None or entry.name not in CONFIGS or name not in (entry.name, *entry.also):
            return None
        return CONFIGS[entry.name]

    def leave_Dict(self, original_node: cst.Dict, updated_node: cst.Dict) -> cst.BaseExpression:
        """A dict of configurations becomes one of functions that make blocks."""
        names = self._chosen.get(original_node)
        if names is None:
            return updated_node
        bound = {name: cst.Arg(cst.Name(name)) for name in names}
        parameters = cst.Parameters(kwonly_params=[cst.Param(cst.Name(name)) for name in names])
        elements = []
        for old, new in zip(original_node.elements, updated_node.elements, strict=True):
            config = self._config(old.value)
            made = self._block(str(config), cst.Call(cst.Name("build")), bound)
            elements.append(new.with_changes(value=cst.Lambda(params=parameters, body=made)))
        self.done()
        changed = updated_node.with_changes(elements=elements)
        return fit(changed, column=self.column(original_node), block=self.depth(original_node))

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """One constructor of a layer."""
        try:
            if self.is_call_of(original_node, f"{TR}.SequentialBlock"):
                return self._sequential(updated_node)
            if self.is_call_of(original_node, f"{TR}.MLPBlock"):
                return self._mlp(updated_node)
            if self.is_call_of(original_node, f"{TR}.Block"):
                return self._module(original_node, updated_node)
            if self.is_call_of(original_node, f"{TR}.TransformerBlock"):
                return self._transformer(original_node, updated_node)
            if self._display(original_node) in self._chosen:
                return updated_node.with_changes(func=updated_node.func.value)  # type: ignore[attr-defined]
            if name := self._built(original_node):
                block = self._block(name, updated_node, self._sizes(name, updated_node))
                self.done()
                return fit(block, column=self.column(original_node), block=self.depth(original_node))
        except ValueError as error:
            self.mark(str(error), "body")
        return updated_node

    def _built(self, call: cst.CSTNode | None) -> str | None:
        """Class of the configuration that ``Config.build(...)`` makes."""
        func = call.func if isinstance(call, cst.Call) else None
        if not isinstance(func, cst.Attribute) or func.attr.value != "build":
            return None
        return self._config(func.value)

    @staticmethod
    def _sizes(name: str, call: cst.Call) -> dict[str, cst.Arg]:
        bound = bind(call, XLNET if name == "XLNetConfig" else BUILD)
        if bound is None or not {"d_model", "n_head", "n_layer"} <= set(bound):
            raise ValueError(f"the arguments of {name}.build cannot be followed")
        return bound

    def _block(self, name: str, call: cst.Call, bound: Mapping[str, cst.Arg]) -> cst.BaseExpression:
        """The block that a configuration becomes."""
        return self._xlnet(call, bound) if name == "XLNetConfig" else huggingface_block(self, name, bound)

    def _module(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        """``tr.Block(module, output_size)``: the module is a block itself."""
        bound, before = bind(call, ("module", "output_size")), bind(original, ("module", "output_size"))
        if bound is None or before is None or "module" not in bound:
            raise ValueError("the arguments of Block cannot be followed")
        module, old = bound["module"].value, before["module"].value
        name = RECURRENT.get(self.qualified(old.func) or "") if isinstance(old, cst.Call) else None
        if name is None:
            self.done()
            return module
        if not isinstance(module, cst.Call):
            raise ValueError("the module of Block cannot be followed")
        made = self._recurrent(name, module)
        self.done()
        return made

    def _recurrent(self, name: str, call: cst.Call) -> cst.Call:
        """A recurrent network; without ``batch_first`` it ran over the sessions of a batch."""
        bound = bind(call, RNN)
        if bound is None or not {"input_size", "hidden_size"} <= set(bound):
            raise ValueError(f"the arguments of {code(call.func)} cannot be followed")
        args = [renamed(bound["hidden_size"], None), renamed(bound["input_size"], "in_features")]
        over_rows = True
        for argument, arg in bound.items():
            text = code(arg.value)
            if argument == "num_layers":
                args.append(renamed(arg, "layers"))
            elif argument == "batch_first" and text in ("True", "False"):
                over_rows = text == "False"
            elif argument not in ("input_size", "hidden_size") and (argument, text) not in RNN_DEFAULTS:
                raise ValueError(f"the argument {argument}={text} of {code(call.func)} has no successor")
        quirks = ("any_masking", "over_rows") if over_rows else ("any_masking",)
        args += self.quirks([keyword(quirk, cst.Name("True")) for quirk in quirks])
        return with_args(call.with_changes(func=self.api(name)), args)

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

    def _xlnet(self, call: cst.Call, bound: Mapping[str, cst.Arg]) -> cst.BaseExpression:
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
        if self._permuted:
            args.append(keyword("two_streams", cst.Name("True")))
        return with_args(call.with_changes(func=self.api("XLNetBlock")), args)

    def _transformer(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        bound = bind(call, ("transformer", "masking", "prepare_module", "output_fn"))
        if bound is None or not {"transformer"} <= set(bound) <= {"transformer", "masking"}:
            raise ValueError("the arguments of TransformerBlock cannot be followed")
        source = self.origin(next(a.value for a in original.args if self._is(a, "transformer")))
        if isinstance(source, cst.Call) and self._display(source) in self._chosen:
            return bound["transformer"].value
        name = self._built(source)
        if name is None or not isinstance(source, cst.Call):
            raise ValueError(
                "TransformerBlock is rewritten over the build of a configuration in the same function only"
            )
        self._block(name, source, self._sizes(name, source))
        self.done()
        return bound["transformer"].value

    @staticmethod
    def _is(arg: cst.Arg, name: str) -> bool:
        return arg.keyword is None or arg.keyword.value == name
