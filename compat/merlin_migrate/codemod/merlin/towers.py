"""Layers and towers: ``MLPBlock`` of ``merlin.models`` as a block, or as the units that builders take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, keyword, literal, renamed

MLP_OF_TORCH = ("units", "activation", "normalization", "dropout", "pre_agg")
MLP_OF_TF = (
    "dimensions",
    "activation",
    "use_bias",
    "dropout",
    "normalization",
    "filter",
    "no_activation_last_layer",
)
_ACTIVATIONS = {
    "None": "none",
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "GELU": "gelu",
    "SiLU": "silu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "linear": "none",
    "swish": "silu",
}
_WITHOUT_EFFECT = {
    ("normalization", "None"),
    ("dropout", "None"),
    ("pre_agg", "None"),
    ("filter", "None"),
    ("use_bias", "True"),
    ("no_activation_last_layer", "False"),
}


@dataclass(frozen=True)
class Tower:
    """The layers of an ``MLPBlock``.

    Args:
        units: width of each layer.
        options: further arguments of ``mm.MLPBlock``, by name.
    """

    units: cst.BaseExpression
    options: Mapping[str, cst.Arg]


def tower(call: cst.Call, parameters: tuple[str, ...]) -> Tower:
    """What an ``MLPBlock`` is made of.

    Args:
        call: the call.
        parameters: of the old class, in order.

    Raises:
        ValueError: if an argument has no successor.
    """
    bound = bind(call, parameters)
    if bound is None or parameters[0] not in bound:
        raise ValueError("the arguments of MLPBlock cannot be followed")
    units = bound[parameters[0]].value
    if isinstance(units, cst.Integer):
        units = cst.List([cst.Element(units)])
    return Tower(units, dict(_options(bound, parameters[0])))


def _options(bound: Mapping[str, cst.Arg], first: str) -> Iterator[tuple[str, cst.Arg]]:
    for name, arg in bound.items():
        text = code(arg.value)
        if name == first or (name, text) in _WITHOUT_EFFECT:
            continue
        if name == "activation":
            if (found := activation(arg.value)) != "relu":
                yield "activation", renamed(arg, "activation", cst.SimpleString(f'"{found}"'))
        elif name == "dropout":
            yield "dropout", renamed(arg, "dropout")
        elif name == "use_bias":
            yield "bias", renamed(arg, "bias")
        elif (name, text) == ("no_activation_last_layer", "True"):
            yield "last_activation", keyword("last_activation", cst.SimpleString('"none"'))
        else:
            raise ValueError(f"the argument {name}={text} of MLPBlock has no successor")


def activation(node: cst.BaseExpression) -> str:
    """Name of an activation that is given as a class, an object or a name.

    Raises:
        ValueError: if there is none of that name.
    """
    text = code(node)
    try:
        name = str(literal(node))
    except ValueError:
        name = text.removesuffix("()").rpartition(".")[2]
    found = _ACTIVATIONS.get(name, name)
    if found not in _ACTIVATIONS.values():
        raise ValueError(f"the activation {text} has no successor")
    return found


def plain_units(made: Tower, place: str) -> tuple[cst.BaseExpression, cst.BaseExpression | None]:
    """Units and dropout of a tower that a builder makes itself.

    Raises:
        ValueError: if the tower has other options.
    """
    others = set(made.options) - {"dropout"}
    if others:
        raise ValueError(
            f"{place} has {', '.join(sorted(others))}, which the builder's towers do not: write the blocks"
        )
    dropout = made.options.get("dropout")
    return made.units, None if dropout is None else dropout.value
