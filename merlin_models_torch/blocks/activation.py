"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Activation = Literal[
    "none", "relu", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid", "softplus"
]


def activation_function(name: Activation) -> Callable[[Tensor], Tensor]:
    """The element-wise function of this name; "gelu" is the exact one, "gelu_tanh" its approximation.

    Raises:
        ValueError: if there is no such activation.
    """
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "none": _identity,
        "relu": F.relu,
        "leaky_relu": F.leaky_relu,
        "elu": F.elu,
        "gelu": F.gelu,
        "gelu_tanh": partial(F.gelu, approximate="tanh"),
        "silu": F.silu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "softplus": F.softplus,
    }
    if name not in functions:
        raise ValueError(f"activation is {name!r}, expected one of {list(get_args(Activation))}")
    return functions[name]


def _identity(inputs: Tensor) -> Tensor:
    return inputs
