"""Dropout, layer norm and length of each column's vectors on their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter

from merlin_models_torch.serialize import serializable


@serializable
class FeatureDropout(nn.Module):
    """Dropout of each column's vectors, in training.

    Args:
        probability: chance of a number to become 0; the others are scaled up.
        whole: the whole vector of a column at a position is left out or not, instead of single numbers.

    Raises:
        ValueError: if the probability is not in [0, 1].

    Example:
        >>> vectors = FeatureDropout(0.5, whole=True)({"category": torch.ones(100, 2)})["category"]
        >>> sorted({tuple(vector) for vector in vectors.tolist()})  # left out or scaled up, as a whole
        [(0.0, 0.0), (2.0, 2.0)]
    """

    def __init__(self, probability: float, *, whole: bool = False) -> None:
        super().__init__()
        if not 0 <= probability <= 1:
            raise ValueError(f"probability is {probability}, expected a number from 0 to 1")
        self.probability = probability
        self.whole = whole

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """(..., D) by name, some of it zero."""
        if not self.training or not self.probability:
            return dict(inputs)
        return {name: self._dropped(vectors) for name, vectors in inputs.items()}

    def _dropped(self, vectors: Tensor) -> Tensor:
        if not self.whole:
            return F.dropout(vectors, self.probability)
        return vectors * F.dropout(vectors.new_ones(*vectors.shape[:-1], 1), self.probability)


class _LazyLayerNorm(LazyModuleMixin, nn.LayerNorm):
    """A layer norm whose width is that of the first input."""

    cls_to_become = nn.LayerNorm
    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self) -> None:
        super().__init__(1)
        for name in ("weight", "bias"):
            parameter: nn.Parameter = UninitializedParameter()  # type: ignore[assignment]
            self.register_parameter(name, parameter)

    def reset_parameters(self) -> None:
        """Ones and zeros, once there is a size."""
        if not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, vectors: Tensor) -> None:
        """Called once by torch with the first input."""
        if self.has_uninitialized_params():
            width = vectors.shape[-1]
            if width < 2:
                raise ValueError("the layer norm of a single number is always 0: leave that column out of it")
            self.normalized_shape = (width,)
            for parameter in (self.weight, self.bias):
                if isinstance(parameter, UninitializedParameter):
                    with torch.no_grad():
                        parameter.materialize((width,))
            super().reset_parameters()


@serializable
class FeatureLayerNorm(nn.Module):
    """Layer norm of each column's vectors, with weights of its own (Ba, Kiros and Hinton 2016).

    Args:
        columns: names, with the widths or, as a list, without them: then they are taken from the first batch.
            Vectors of other names come as they are.

    Raises:
        ValueError: for a width below 2, the norm of which would always be 0.

    Example:
        >>> FeatureLayerNorm({"a": 2})({"a": torch.tensor([[1.0, 3.0]])})["a"].round(decimals=2)
        tensor([[-1.,  1.]], grad_fn=<RoundBackward1>)
    """

    def __init__(self, columns: Mapping[str, int] | Sequence[str]) -> None:
        super().__init__()
        self.norms = nn.ModuleDict()
        for name in columns:
            width = columns[name] if isinstance(columns, Mapping) else None
            if width is not None and width < 2:
                raise ValueError(
                    f"column {name!r} has width {width}, and the layer norm of a single number is always 0: "
                    "leave it out"
                )
            self.norms[name] = _LazyLayerNorm() if width is None else nn.LayerNorm(width)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """(..., D) by name."""
        return {name: self.norms[name](v) if name in self.norms else v for name, v in inputs.items()}


@serializable
class L2Norm(nn.Module):
    """Vectors divided by their Euclidean length.

    Args:
        eps: smallest length that is divided by, so that zeros stay zeros.

    Example:
        >>> L2Norm()(torch.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """

    def __init__(self, *, eps: float = 1e-12) -> None:
        super().__init__()
        self.eps = eps

    @overload
    def forward(self, inputs: Tensor) -> Tensor: ...
    @overload
    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]: ...
    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        """(..., D) of length 1, one or by name."""
        if isinstance(inputs, Tensor):
            return F.normalize(inputs, dim=-1, eps=self.eps)
        return {name: F.normalize(vectors, dim=-1, eps=self.eps) for name, vectors in inputs.items()}
