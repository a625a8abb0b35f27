"""Recurrent layers of torch that take the width of their inputs from the first ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter

_INPUT_WEIGHTS = ("weight_ih_l0", "weight_ih_l0_reverse")


class _LazyRecurrent(LazyModuleMixin):
    """A recurrent layer without its ``input_size``; it comes before the layer of torch among the bases.

    Args:
        hidden_size: as there.
        **options: as there.
    """

    def __init__(self, hidden_size: int, **options: Any) -> None:
        super().__init__(1, hidden_size, **options)  # type: ignore[misc]
        for name in _INPUT_WEIGHTS:
            if hasattr(self, name):
                unsized: Any = UninitializedParameter()
                setattr(self, name, unsized)

    def reset_parameters(self) -> None:
        """Draws the weights, if they have a size yet."""
        if not self.has_uninitialized_params():  # type: ignore[misc]
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Any, hx: Any = None) -> None:
        """Gives the weights the size of the inputs, a tensor or a packed sequence."""
        layer: Any = self
        layer.input_size = input.data.shape[-1]
        weights = [getattr(layer, name, None) for name in _INPUT_WEIGHTS]
        unsized = [weight for weight in weights if isinstance(weight, UninitializedParameter)]
        gates = layer.get_parameter("weight_hh_l0").shape[0]
        with torch.no_grad():
            for weight in unsized:
                weight.materialize((gates, layer.input_size))
            if unsized:
                layer.reset_parameters()


class LazyGRU(_LazyRecurrent, nn.GRU):
    """``torch.nn.GRU`` without its ``input_size``; becomes one with the first inputs."""

    cls_to_become = nn.GRU


class LazyLSTM(_LazyRecurrent, nn.LSTM):
    """``torch.nn.LSTM`` without its ``input_size``; becomes one with the first inputs."""

    cls_to_become = nn.LSTM
