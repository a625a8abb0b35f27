"""How the vectors of a list become one vector."""

from __future__ import annotations

import inspect
from typing import Literal, cast

import torch
from torch import Tensor, nn
from typing_extensions import Self

from merlin_models_torch.inputs.weighted import weights_of
from merlin_models_torch.serialize import serializable

Pooling = Literal["mean", "sum", "sqrtn", "max", "attention"]
Combiner = Pooling | nn.Module
POOLINGS = ("mean", "sum", "sqrtn", "max", "attention")


def pool(vectors: Tensor, inside: Tensor, how: Literal["mean", "sum", "sqrtn", "max"]) -> Tensor:
    """One vector for each list, of those of its places that are in use.

    Args:
        vectors: (..., S, D).
        inside: (..., S) bool, places in use.
        how: "mean", "sum", "sqrtn" (the sum divided by the square root of the count) or "max".

    Returns:
        (..., D); zeros for an empty list.
    """
    chosen = inside[..., None]
    count = inside.sum(-1, keepdim=True)
    if how == "max":
        highest = vectors.masked_fill(~chosen, float("-inf")).amax(-2)
        return torch.where(count > 0, highest, 0.0)
    total = torch.where(chosen, vectors, 0.0).sum(-2)
    if how == "sum":
        return total
    divisor = count.clamp(min=1).to(vectors.dtype)
    return total / (divisor if how == "mean" else divisor.sqrt())


@serializable
class AttentionPooling(nn.Module):
    """A mean of the vectors of a list, weighted by softmax of their products with a learned vector.

    The weights are ``softmax(v_s . q / sqrt(D))`` over the places in use (the word attention of Yang et al.
    2016, equations 5 to 7, without its hidden layer). It starts as the plain mean, with ``q`` zero.

    Args:
        dim: width D of the vectors.

    Example:
        >>> pooling, inside = AttentionPooling(2), torch.tensor([True, True, False])
        >>> vectors = torch.tensor([[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]])
        >>> pooling(vectors, inside).tolist()  # not learned yet: the mean
        [2.0, 1.0]
        >>> pooling.query.data = torch.tensor([100.0, 0.0])  # high first numbers are all that counts
        >>> pooling(vectors, inside).tolist()
        [3.0, 2.0]
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(dim))

    def forward(self, vectors: Tensor, inside: Tensor) -> Tensor:
        """Pools (..., S, D) vectors at the places (..., S) in use to (..., D); zeros for an empty list."""
        scores = vectors @ self.query / vectors.shape[-1] ** 0.5
        # Finite, so that an empty list has weights too; its sum is over zeros.
        weights = scores.masked_fill(~inside, torch.finfo(scores.dtype).min).softmax(-1)
        return (torch.where(inside, weights, 0.0)[..., None] * vectors).sum(-2)


@serializable
class ListCombiner(nn.Module):
    """Makes one vector of a list of them.

    Args:
        how: a pooling by name, or a module. A module whose ``forward`` has a parameter ``inside`` gets which
            places are in use; another one gets the vectors only, where places not in use are zero.
        dim: width of the vectors; needed for "attention".

    Raises:
        ValueError: if the name is not known.

    Example:
        >>> vectors, inside = torch.tensor([[3.0], [1.0], [8.0]]), torch.tensor([True, True, False])
        >>> ListCombiner("mean", dim=1)(vectors, inside)
        tensor([2.])
        >>> ListCombiner("max", dim=1)(vectors, inside)
        tensor([3.])
    """

    def __init__(self, how: Combiner, *, dim: int) -> None:
        super().__init__()
        if not isinstance(how, nn.Module) and how not in POOLINGS:
            raise ValueError(f"combiner is {how!r}, expected one of {list(POOLINGS)} or a module")
        if how == "attention" and dim < 1:
            raise ValueError("attention needs the width of the vectors: give their module an attribute dim")
        self.how = how if isinstance(how, str) else "module"
        self.dim = dim
        module = AttentionPooling(dim) if how == "attention" else how
        self.module = module if isinstance(module, nn.Module) else None
        self.weights = weights_of(how)
        self._told = module is not None and self.module is not None and _takes_inside(self.module)

    @classmethod
    def of(cls, how: Combiner | ListCombiner, *, dim: int) -> Self | ListCombiner:
        """``how`` itself if it is one already."""
        return how if isinstance(how, ListCombiner) else cls(how, dim=dim)

    def forward(self, vectors: Tensor, inside: Tensor, weights: Tensor | None = None) -> Tensor:
        """Pools lists.

        Args:
            vectors: (..., S, D).
            inside: (..., S) bool, places in use.
            weights: (..., S) float, of a :class:`WeightedMean`.

        Returns:
            (..., D).
        """
        if self.weights is not None:
            return cast(Tensor, self.module(vectors, inside, weights))  # type: ignore[misc]
        if self.module is None:
            return pool(vectors, inside, self.how)  # type: ignore[arg-type]
        vectors = torch.where(inside[..., None], vectors, 0.0)
        result: Tensor = self.module(vectors, inside=inside) if self._told else self.module(vectors)
        return result


def _takes_inside(module: nn.Module) -> bool:
    return "inside" in inspect.signature(module.forward).parameters
