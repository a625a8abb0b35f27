"""Ids as ones among zeros."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from merlin_models_torch._counts import check_count
from merlin_models_torch.batch import Column, Ragged
from merlin_models_torch.serialize import serializable


@serializable
class OneHot(nn.Module):
    """Each id as a vector that is 1 at the id and 0 elsewhere; padding, id 0, is all zeros.

    Args:
        cardinality: number V of ids, padding included.

    Raises:
        ValueError: if the cardinality is less than 1.
        TypeError: if it is no whole number, such as ``schema.cardinality("genre")``.

    Example:
        >>> OneHot(3)(torch.tensor([2, 0]))
        tensor([[0., 0., 1.],
                [0., 0., 0.]])
    """

    def __init__(self, cardinality: int) -> None:
        super().__init__()
        check_count("cardinality", cardinality)
        if cardinality < 1:
            raise ValueError(f"cardinality is {cardinality}, expected at least 1")
        self.cardinality = cardinality
        self.dim = cardinality

    def forward(self, ids: Tensor) -> Tensor:
        """(..., V) float of (...) int64 ids."""
        hot = ids[..., None] == torch.arange(self.cardinality, device=ids.device)
        return (hot & (ids != 0)[..., None]).to(torch.get_default_dtype())


@serializable
class MultiHot(nn.Module):
    """Each list of ids as one vector that is 1 at the ids in it; padding, id 0, counts for nothing.

    Args:
        cardinality: number V of ids, padding included.
        count: how often an id is in the list instead of whether.

    Raises:
        ValueError: if the cardinality is less than 1.
        TypeError: if it is no whole number, such as ``schema.cardinality("genre")``.

    Example:
        >>> MultiHot(4)(torch.tensor([[2, 3, 0], [2, 2, 0]]))
        tensor([[0., 0., 1., 1.],
                [0., 0., 1., 0.]])
    """

    pools = True

    def __init__(self, cardinality: int, *, count: bool = False) -> None:
        super().__init__()
        check_count("cardinality", cardinality)
        if cardinality < 1:
            raise ValueError(f"cardinality is {cardinality}, expected at least 1")
        self.cardinality = cardinality
        self.dim = cardinality
        self.count = count

    def forward(self, ids: Column) -> Tensor:
        """(B, V) float of (B, T) ids or ragged ones, (B, T, V) of (B, T, S), (B, V) of (B,)."""
        if isinstance(ids, Ragged):
            ids = ids.padded()
        if ids.dim() == 1:
            ids = ids[:, None]
        zeros = torch.zeros(*ids.shape[:-1], self.cardinality, device=ids.device)
        counts = zeros.scatter_add(-1, ids, (ids != 0).to(zeros.dtype))
        return counts if self.count else counts.clamp(max=1)
