"""Cross layers: products of features of bounded degree."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter

from merlin_models_torch.blocks.join import concatenated
from merlin_models_torch.serialize import serializable


class CrossLayer(nn.Module):
    """``first * (W hidden + b) + hidden``, W whole or a product of two thin matrices.

    Args:
        width: S of inputs and outputs.
        rank: columns of the thin matrices; W is whole if not given.
    """

    def __init__(self, width: int, *, rank: int | None = None) -> None:
        super().__init__()
        self.rank = rank
        self.weight = nn.Parameter(torch.empty(width, width if rank is None else rank))
        self.down = None if rank is None else nn.Parameter(torch.empty(rank, width))
        self.bias = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the matrices as ``nn.Linear`` does; the bias is 0."""
        for matrix in (self.weight, self.down):
            if matrix is not None:
                nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))
        nn.init.zeros_(self.bias)

    def forward(self, hidden: Tensor, first: Tensor) -> Tensor:
        """(..., S) twice to (..., S)."""
        inner = hidden if self.down is None else hidden @ self.down.T
        return first * (inner @ self.weight.T + self.bias) + hidden


class LazyCrossLayer(LazyModuleMixin, CrossLayer):
    """A cross layer that takes its width from the first inputs, and then is a :class:`CrossLayer`.

    Args:
        rank: as there.
    """

    cls_to_become = CrossLayer

    def __init__(self, *, rank: int | None = None) -> None:
        super().__init__(0, rank=0)
        self.rank = rank
        for name in ("weight", "bias") if rank is None else ("weight", "down", "bias"):
            unsized: Any = UninitializedParameter()
            self.register_parameter(name, unsized)
        if rank is None:
            self.down = None

    def reset_parameters(self) -> None:
        """Draws the weights, if they have a size yet."""
        if not self.has_uninitialized_params() and self.bias.numel():
            super().reset_parameters()

    def initialize_parameters(self, hidden: Tensor, first: Tensor) -> None:
        """Gives the weights the size of the inputs."""
        if not self.has_uninitialized_params():
            return
        width = hidden.shape[-1]
        with torch.no_grad():
            _sized(self.weight, (width, width if self.rank is None else self.rank))
            _sized(self.bias, (width,))
            if self.down is not None and self.rank is not None:
                _sized(self.down, (self.rank, width))
            self.reset_parameters()


def _sized(parameter: nn.Parameter, shape: tuple[int, ...]) -> None:
    if isinstance(parameter, UninitializedParameter):
        parameter.materialize(shape)


@serializable
class CrossBlock(nn.Module):
    """A stack of cross layers: DCN-v2 (Wang et al. 2021, equation 1; with a low rank equation 2).

    Layer l gives ``x[l+1] = x[0] * (W x[l] + b) + x[l]``, element by element, so that the outputs are
    polynomials of degree ``depth + 1`` of the inputs. With a low rank W is the product of an (S, R) and an
    (R, S) matrix.

    Args:
        depth: number of layers.
        in_features: width S of the inputs; taken from the first batch if not given.
        low_rank: R; the matrices are whole if not given.

    Raises:
        ValueError: if ``depth`` or ``low_rank`` is less than 1.

    Example:
        >>> CrossBlock(2)(torch.zeros(3, 5)).shape
        torch.Size([3, 5])
    """

    def __init__(self, depth: int, *, in_features: int | None = None, low_rank: int | None = None) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"depth is {depth}, expected at least 1 layer")
        if low_rank is not None and low_rank < 1:
            raise ValueError(f"low_rank is {low_rank}, expected at least 1, or None for whole matrices")
        self.layers = nn.ModuleList(
            LazyCrossLayer(rank=low_rank) if in_features is None else CrossLayer(in_features, rank=low_rank)
            for _ in range(depth)
        )

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Crosses the inputs.

        Args:
            inputs: (B, S) or (B, T, S); or several by name, put side by side in the order of their names.

        Returns:
            (B, S) or (B, T, S).
        """
        first = concatenated(inputs)
        hidden = first
        for layer in self.layers:
            hidden = layer(hidden, first)
        return hidden
