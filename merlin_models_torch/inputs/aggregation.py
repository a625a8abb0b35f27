"""Vectors of several columns as one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from merlin_models_torch.blocks.join import aligned, check_widths, concatenated, stacked
from merlin_models_torch.serialize import serializable

Vectors = Tensor | Mapping[str, Tensor]


@serializable
class Concat(nn.Module):
    """Vectors side by side, in the order of their names.

    Args:
        dim: dimension to join; the last by default. Vectors without positions are repeated at each.

    Example:
        >>> Concat()({"b": torch.ones(1, 1), "a": torch.zeros(1, 2)})
        tensor([[0., 0., 1.]])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, inputs: Vectors) -> Tensor:
        """(B, S) or (B, T, S) of (B, D) or (B, T, D) by name; a single tensor comes as it is."""
        if self.dim == -1 or isinstance(inputs, Tensor):
            return concatenated(inputs)
        return torch.cat(aligned(inputs), self.dim)


@serializable
class Stack(nn.Module):
    """Vectors of one width in a new dimension, in the order of their names.

    Args:
        dim: where the new dimension is in the result; before the width by default.

    Example:
        >>> Stack()({"a": torch.zeros(5, 3), "b": torch.ones(5, 3)}).shape
        torch.Size([5, 2, 3])
    """

    def __init__(self, dim: int = -2) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, inputs: Vectors) -> Tensor:
        """(B, F, D) or (B, T, F, D) of F vectors by name; a single tensor comes as it is.

        Raises:
            ValueError: if the widths differ.
        """
        return stacked(inputs, self.dim)


@serializable
class ElementwiseSum(nn.Module):
    """The sum of vectors of one width.

    Example:
        >>> ElementwiseSum()({"a": torch.ones(1, 2), "b": torch.ones(1, 2)})
        tensor([[2., 2.]])
    """

    def forward(self, inputs: Vectors) -> Tensor:
        """(B, D) or (B, T, D); a single tensor comes as it is.

        Raises:
            ValueError: if the widths differ.
        """
        return inputs if isinstance(inputs, Tensor) else stacked(inputs, 0).sum(0)


@serializable
class ElementwiseSumItemMulti(nn.Module):
    """The item's vector times the sum of all others, element by element.

    Args:
        item: name of the item column. With it alone its vector comes as it is.

    Example:
        >>> ElementwiseSumItemMulti("item")({"item": torch.tensor([[2.0]]), "a": torch.tensor([[5.0]])})
        tensor([[10.]])
    """

    def __init__(self, item: str = "item_id") -> None:
        super().__init__()
        self.item = item

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """(B, D) or (B, T, D).

        Raises:
            KeyError: if the item is not there.
            ValueError: if the widths differ.
        """
        if self.item not in inputs:
            raise KeyError(f"the inputs have no {self.item!r}, only {sorted(inputs)}: name the item column")
        vectors = dict(zip(sorted(inputs), aligned(inputs), strict=True))
        check_widths(list(vectors), list(vectors.values()))
        item = vectors.pop(self.item)
        return item * torch.stack(list(vectors.values())).sum(0) if vectors else item
