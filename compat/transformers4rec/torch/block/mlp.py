"""Fully connected layers."""

from __future__ import annotations

import inspect
from itertools import pairwise
from typing import Any

import torch

from merlin_models_torch.blocks.linear import Linear
from transformers4rec._legacy import elsewhere, legacy
from transformers4rec.torch.block.base import BuildableBlock, SequentialBlock

__getattr__ = elsewhere(__name__, {})


@legacy
class MLPBlock(BuildableBlock):
    """Fully connected layers, each with activation, normalisation and dropout.

    Args:
        dimensions: width of the layer, or of each layer in a list.
        activation: class of the activation, None for none.
        use_bias: whether the layers have a bias.
        dropout: after each layer.
        normalization: "batch_norm" after each activation, None for none.
        filter_features: kept for programs that give it; has no effect, as in 23.12.0.
    """

    def __init__(
        self,
        dimensions: int | list[int],
        activation: Any = torch.nn.ReLU,
        use_bias: bool = True,
        dropout: float | None = None,
        normalization: str | None = None,
        filter_features: Any = None,
    ) -> None:
        self.dimensions = [dimensions] if isinstance(dimensions, int) else dimensions
        self.activation = activation
        self.use_bias = use_bias
        self.dropout = dropout
        self.normalization = normalization
        self.filter_features = filter_features

    def build(self, input_shape: Any) -> SequentialBlock:
        """The layers for inputs of this size."""
        widths = [input_shape[-1], *self.dimensions]
        block = SequentialBlock(
            *(
                DenseBlock(
                    input_shape,
                    incoming,
                    outgoing,
                    activation=self.activation,
                    use_bias=self.use_bias,
                    dropout=self.dropout,
                    normalization=self.normalization,
                )
                for incoming, outgoing in pairwise(widths)
            )
        )
        block.input_size = input_shape
        return block


@legacy
class DenseBlock(SequentialBlock):
    """One fully connected layer with what follows it.

    Args:
        input_shape: size of the input.
        in_features: its last dimension.
        out_features: width of the layer.
        activation: class of the activation, None for none.
        use_bias: whether the layer has a bias.
        dropout: after the layer.
        normalization: "batch_norm", None for none.
    """

    def __init__(
        self,
        input_shape: Any,
        in_features: int,
        out_features: int,
        activation: Any = torch.nn.ReLU,
        use_bias: bool = True,
        dropout: float | None = None,
        normalization: str | None = None,
    ) -> None:
        parts: list[torch.nn.Module] = [Linear(in_features, out_features, bias=use_bias)]
        if activation:
            in_place = "inplace" in inspect.signature(activation).parameters
            parts.append(activation(inplace=True) if in_place else activation())
        if normalization == "batch_norm":
            parts.append(torch.nn.BatchNorm1d(out_features))
        if dropout:
            parts.append(torch.nn.Dropout(dropout))
        super().__init__(*parts)
        self._input_shape = input_shape
        self._output_size = out_features

    def _get_name(self) -> str:
        return "DenseBlock"

    def forward_output_size(self, input_size: Any) -> torch.Size:
        """The input's size with the layer's width last."""
        return torch.Size([*input_size[:-1], self._output_size])
