"""Configurations of transformers: what the builders of Transformers4Rec made of their arguments."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst

from merlin_migrate.codemod.layout import code, is_plain, keyword
from merlin_migrate.codemod.rule import Rule

BUILD = (
    "d_model",
    "n_head",
    "n_layer",
    "total_seq_length",
    "hidden_act",
    "initializer_range",
    "layer_norm_eps",
    "dropout",
    "pad_token",
    "log_attention_weights",
)
_DEFAULTS = {
    "hidden_act": '"gelu"',
    "initializer_range": "0.01",
    "layer_norm_eps": "0.03",
    "dropout": "0.3",
    "pad_token": "0",
}
_ENCODER = {
    "hidden_size": "d_model",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "hidden_act": "hidden_act",
    "initializer_range": "initializer_range",
    "layer_norm_eps": "layer_norm_eps",
    "max_position_embeddings": "total_seq_length + 2",
}
# Fields of the configuration by what the builder of 23.12.0 gave them; a dropout that it gave to no field is
# left out, as is anything else that had no effect.
FIELDS: dict[str, dict[str, str]] = {
    "AlbertConfig": {
        **_ENCODER,
        "intermediate_size": "4 * d_model",
        "embedding_size": "d_model",
        "hidden_dropout_prob": "dropout",
        "attention_probs_dropout_prob": "dropout",
    },
    "BertConfig": {**_ENCODER, "pad_token_id": "pad_token"},
    "ElectraConfig": {
        **_ENCODER,
        "intermediate_size": "4 * d_model",
        "embedding_size": "d_model",
        "hidden_dropout_prob": "dropout",
        "pad_token_id": "pad_token",
    },
    "GPT2Config": {
        "n_embd": "d_model",
        "n_inner": "4 * d_model",
        "n_layer": "n_layer",
        "n_head": "n_head",
        "activation_function": "hidden_act",
        "initializer_range": "initializer_range",
        "resid_pdrop": "dropout",
        "embd_pdrop": "dropout",
        "attn_pdrop": "dropout",
        "n_positions": "total_seq_length",
    },
    "RobertaConfig": {**_ENCODER, "pad_token_id": "pad_token"},
}


def huggingface_block(rule: Rule, name: str, bound: Mapping[str, cst.Arg]) -> cst.Call:
    """``mm.HuggingFaceBlock(transformers.XConfig(...), ignore_plan=True)``.

    Args:
        rule: that writes it.
        name: of the configuration's class, a key of :data:`FIELDS`.
        bound: arguments of ``build`` by name.

    Raises:
        ValueError: if an argument cannot be followed.
    """
    missing = [argument for argument in BUILD[:4] if argument not in bound]
    if missing:
        raise ValueError(f"{name}.build is called without {', '.join(missing)}")
    if "log_attention_weights" in bound and code(bound["log_attention_weights"].value) != "False":
        raise ValueError("attention weights come from HuggingFaceBlock.attention_weights(...)")
    values = {argument: cst.parse_expression(default) for argument, default in _DEFAULTS.items()}
    values |= {argument: bound[argument].value for argument in BUILD if argument in bound}
    for argument, value in values.items():
        if not is_plain(value):
            raise ValueError(f"{argument} is computed in {name}.build: give it a name before")
    args = [keyword(field, _value(source, values)) for field, source in FIELDS[name].items()]
    args.append(keyword("vocab_size", cst.Integer("1")))
    args += [keyword(extra, arg.value) for extra, arg in bound.items() if extra not in BUILD]
    rule.program.imports.add("transformers")
    config = cst.Call(cst.Attribute(cst.Name("transformers"), cst.Name(name)), args)
    quirk = rule.quirks([keyword("ignore_plan", cst.Name("True"))])
    return cst.Call(rule.api("HuggingFaceBlock"), [cst.Arg(config), *quirk])


def _value(source: str, values: Mapping[str, cst.BaseExpression]) -> cst.BaseExpression:
    if source in values:
        return values[source]
    left, operator, right = source.split()
    name = right if left.isdigit() else left
    number = int(left if left.isdigit() else right)
    value = values[name]
    if isinstance(value, cst.Integer):
        given = int(value.value)
        return cst.Integer(str(given * number if operator == "*" else given + number))
    if operator == "+":
        return cst.BinaryOperation(value, cst.Add(), cst.Integer(str(number)))
    if isinstance(value, cst.BinaryOperation) and not value.lpar:
        value = value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return cst.BinaryOperation(cst.Integer(str(number)), cst.Multiply(), value)
