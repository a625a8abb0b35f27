"""Recurrent layers of torch that take the width of their inputs from the first ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter

_INPUT_WEIGHTS = ("weight_ih_l0", "weight_ih_l0_reverse")


class LazyGRU(LazyModuleMixin, nn.GRU):
    """``torch.nn.GRU`` without its ``input_size``; becomes one with the first inputs.

    Args:
        hidden_size: as there.
        **options: as there.
    """

    cls_to_become = nn.GRU

    def __init__(self, hidden_size: int, **options: Any) -> None:
        super().__init__(1, hidden_size, **options)
        _forget_width(self)

    def reset_parameters(self) -> None:
        """Draws the weights, if they have a size yet."""
        if not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, input: Any, hx: Tensor | None = None) -> None:
        """Gives the weights the size of the inputs."""
        _take_width(self, input)


class LazyLSTM(LazyModuleMixin, nn.LSTM):
    """``torch.nn.LSTM`` without its ``input_size``; becomes one with the first inputs.

    Args:
        hidden_size: as there.
        **options: as there.
    """

    cls_to_become = nn.LSTM

    def __init__(self, hidden_size: int, **options: Any) -> None:
        super().__init__(1, hidden_size, **options)
        _forget_width(self)

    def reset_parameters(self) -> None:
        """Draws the weights, if they have a size yet."""
        if not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, input: Any, hx: Any = None) -> None:
        """Gives the weights the size of the inputs."""
        _take_width(self, input)


def _forget_width(module: nn.RNNBase) -> None:
    for name in _INPUT_WEIGHTS:
        if hasattr(module, name):
            unsized: Any = UninitializedParameter()
            setattr(module, name, unsized)


def _take_width(module: nn.RNNBase, inputs: Any) -> None:
    """Sizes the input weights; ``inputs`` is a tensor or a packed sequence."""
    module.input_size = inputs.data.shape[-1]
    weights = [getattr(module, name, None) for name in _INPUT_WEIGHTS]
    unsized = [weight for weight in weights if isinstance(weight, UninitializedParameter)]
    gates = module.get_parameter("weight_hh_l0").shape[0]
    with torch.no_grad():
        for weight in unsized:
            weight.materialize((gates, module.input_size))
        if unsized:
            module.reset_parameters()
