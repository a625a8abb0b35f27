"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from merlin_models_torch._counts import check_count
from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.activation import Activation, activation_function
from merlin_models_torch.blocks.dropout import Dropout
from merlin_models_torch.blocks.join import concatenated
from merlin_models_torch.blocks.linear import Linear
from merlin_models_torch.serialize import serializable


@serializable
class PositionBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of the last dimension, with statistics of the positions in use only.

    Args:
        features: size D of the last dimension.
    """

    def __init__(self, features: int) -> None:
        super().__init__(features)

    def forward(self, input: Tensor, inside: Tensor | None = None) -> Tensor:
        """Normalises; in training with the statistics of this batch.

        Args:
            input: (..., D).
            inside: (...) bool, the positions in use; all if not given.

        Returns:
            (..., D); 0 where not in use in training.
        """
        if inside is None or not self.training:
            return super().forward(input.reshape(-1, input.shape[-1])).view_as(input)
        output = torch.zeros_like(input)
        output[inside] = super().forward(input[inside]).to(output.dtype)
        return output


def as_widths(units: Sequence[int]) -> list[int]:
    """Widths of layers.

    Raises:
        TypeError: if they are one number, or one is no whole number.
    """
    if isinstance(units, int):
        raise TypeError(f"units are {units}, expected the widths of all layers, such as [{units}]")
    widths = list(units)
    for width in widths:
        check_count("one of units", width)
    return widths


@serializable
class MLPBlock(nn.Module):
    """Linear layers, each followed by normalisation, activation and dropout.

    The last dimension of the inputs is what the layers see, so the inputs may have positions or not.

    Args:
        units: width of each layer.
        in_features: width of the inputs; taken from the first batch if not given.
        activation: after each layer.
        last_activation: after the last layer, if another one than ``activation``.
        dropout: after each activation, in training.
        normalization: between each linear layer and its activation. Statistics of "batch" leave padding out.
        bias: whether linear layers have one.

    Raises:
        TypeError: if the units are one number.
        ValueError: if there are no units, or a choice is unknown.

    Example:
        >>> MLPBlock([64, 32], in_features=8)(torch.zeros(2, 5, 8)).shape
        torch.Size([2, 5, 32])
    """

    def __init__(
        self,
        units: Sequence[int],
        *,
        in_features: int | None = None,
        activation: Activation = "relu",
        last_activation: Activation | None = None,
        dropout: float = 0.0,
        normalization: Literal["none", "layer", "batch"] = "none",
        bias: bool = True,
    ) -> None:
        super().__init__()
        units = as_widths(units)
        if not units or min(units) < 1:
            raise ValueError(
                f"units is {list(units)}, expected the width of at least one layer, such as [64]"
            )
        widths = [in_features, *units]
        self.linears = nn.ModuleList(
            nn.LazyLinear(width, bias=bias) if before is None else Linear(before, width, bias=bias)
            for before, width in zip(widths[:-1], units, strict=True)
        )
        self.norms = nn.ModuleList(_normalization(normalization, width) for width in units)
        last = activation if last_activation is None else last_activation
        self.activations = [activation_function(activation)] * (len(units) - 1) + [activation_function(last)]
        self.dropout = Dropout(dropout)
        self.out_features = units[-1]

    def forward(self, inputs: Tensor | Mapping[str, Tensor], batch: Batch | None = None) -> Tensor:
        """Runs all layers.

        Args:
            inputs: (B, D) or (B, T, D); or several by name, which are put side by side in the order of their
                names.
            batch: where its plan tells which positions are in use; needed for "batch" normalisation only.

        Returns:
            (B, U) or (B, T, U), U the last of the units.
        """
        hidden = concatenated(inputs)
        for linear, norm, activation in zip(self.linears, self.norms, self.activations, strict=True):
            hidden = linear(hidden)
            if isinstance(norm, PositionBatchNorm):
                hidden = norm(hidden, _inside(hidden, batch))
            else:
                hidden = norm(hidden)
            hidden = self.dropout(activation(hidden))
        return hidden


def _normalization(name: Literal["none", "layer", "batch"], width: int) -> nn.Module:
    if name == "none":
        return nn.Identity()
    if name == "layer":
        return nn.LayerNorm(width)
    if name == "batch":
        return PositionBatchNorm(width)
    raise ValueError(f"normalization is {name!r}, expected one of ['none', 'layer', 'batch']")


def _inside(hidden: Tensor, batch: Batch | None) -> Tensor | None:
    if batch is None or batch.plan is None or hidden.dim() != 3:
        return None
    return torch.arange(hidden.shape[1], device=hidden.device) < batch.plan.lengths[:, None]
