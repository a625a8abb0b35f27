"""``merlin.models.torch.transforms.agg``: several tensors by name as one."""

from __future__ import annotations

from typing import Any

import torch
from merlin.models._legacy import legacy, served
from torch import Tensor, nn

from merlin_models_torch import inputs as core
from merlin_models_torch.batch import Batch


@legacy
class Concat(core.Concat):
    """Tensors side by side, in the order of their names.

    Args:
        dim: dimension to join.
        align_dims: not used: tensors without a width, or without positions, are always given them.
    """

    def __init__(self, dim: int = -1, align_dims: bool = True) -> None:
        super().__init__(dim)


@legacy
class Stack(core.Stack):
    """Tensors of one shape in a new dimension, in the order of their names.

    Args:
        dim: where the new dimension is; the first by default, which the core has before the width.
    """

    def __init__(self, dim: int = 0) -> None:
        super().__init__(dim)

    def forward(self, inputs: Any) -> Tensor:
        """Stacks; a single tensor comes as it is.

        Raises:
            RuntimeError: if the shapes differ.
        """
        if isinstance(inputs, Tensor):
            return inputs
        shapes = {name: tuple(inputs[name].shape) for name in sorted(inputs)}
        if len(set(shapes.values())) > 1:
            raise RuntimeError(f"tensors of one shape are stacked, got {shapes}: project them to one")
        return torch.stack([inputs[name] for name in shapes], self.dim).float()


@legacy
class ElementWiseSum(core.ElementwiseSum):
    """The sum of tensors of one shape."""


@legacy
class MaybeAgg(nn.Module):
    """An aggregation where there is a dict; a tensor comes as it is.

    Args:
        agg: the aggregation.
    """

    def __init__(self, agg: nn.Module) -> None:
        super().__init__()
        self.agg = agg

    def forward(self, inputs: Any, batch: Batch | None = None) -> Any:
        """One tensor."""
        return inputs if isinstance(inputs, Tensor) else self.agg(inputs)


__getattr__ = served(__name__)
