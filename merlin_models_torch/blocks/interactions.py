"""Products between vectors of features, and between towers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from merlin_models_torch.blocks.join import stacked
from merlin_models_torch.serialize import serializable


def pairwise_dots(vectors: Tensor, *, self_interaction: bool = False) -> Tensor:
    """The dot product of each pair of vectors.

    Args:
        vectors: (..., F, D).
        self_interaction: also of each vector with itself.

    Returns:
        (..., P): the pairs (0, 1), (0, 2), ..., (1, 2), ...; P is F (F - 1) / 2, or F (F + 1) / 2.
    """
    products = vectors @ vectors.transpose(-1, -2)
    count = vectors.shape[-2]
    first, second = torch.triu_indices(count, count, 0 if self_interaction else 1, device=vectors.device)
    return products[..., first, second]


def pairwise_sum(vectors: Tensor) -> Tensor:
    """The sum of the element-wise products of all pairs of vectors, in time linear in their number.

    Half the difference of the square of the sum and the sum of the squares (Rendle 2010, lemma 3.1).

    Args:
        vectors: (..., F, D).

    Returns:
        (..., D).
    """
    return (vectors.sum(-2).square() - vectors.square().sum(-2)) / 2


@serializable
class DotInteraction(nn.Module):
    """:func:`pairwise_dots` as a module (Naumov et al. 2019, section 2.1.3).

    Args:
        self_interaction: also the product of each vector with itself.

    Example:
        >>> DotInteraction()(torch.tensor([[[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]]]))  # 1 * 3 + 2 * 4, 2, 4
        tensor([[11.,  2.,  4.]])
    """

    def __init__(self, *, self_interaction: bool = False) -> None:
        super().__init__()
        self.self_interaction = self_interaction

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        """(B, F, D), or F tensors (B, D) by name, to (B, P)."""
        return pairwise_dots(stacked(inputs), self_interaction=self.self_interaction)


@serializable
class FMInteraction(nn.Module):
    """:func:`pairwise_sum` as a module: the second-order part of a factorisation machine (Rendle 2010).

    Example:
        >>> FMInteraction()(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))  # 1 * 3 and 2 * 4
        tensor([[3., 8.]])
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        """(B, F, D), or F tensors (B, D) by name, to (B, D)."""
        return pairwise_sum(stacked(inputs))


@serializable
class DotProduct(nn.Module):
    """The score of each query with its candidate: their dot product.

    Args:
        query: name of the query; if not given, the one that is not the candidate.
        candidate: name of the candidate.

    Example:
        >>> DotProduct()({"query": torch.ones(1, 3), "candidate": torch.ones(1, 3)})
        tensor([[3.]])
    """

    def __init__(self, *, query: str | None = None, candidate: str = "candidate") -> None:
        super().__init__()
        self.query = query
        self.candidate = candidate

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Scores.

        Args:
            inputs: (..., D) each, by name.

        Returns:
            (..., 1).

        Raises:
            ValueError: if one of the two is missing, the query is not clear, or the widths differ.
        """
        others = [name for name in inputs if name != self.candidate]
        query = self.query or (others[0] if len(others) == 1 else None)
        if query is None or query not in inputs or self.candidate not in inputs:
            raise ValueError(
                f"a dot product of {query or 'a query'!r} and {self.candidate!r} got {sorted(inputs)}: name "
                "the two by query and candidate"
            )
        left, right = inputs[query], inputs[self.candidate]
        if left.shape[-1] != right.shape[-1]:
            raise ValueError(
                f"{query!r} has width {left.shape[-1]} and {self.candidate!r} has width {right.shape[-1]}, "
                "expected the same: end both towers with the same width"
            )
        return (left * right).sum(-1, keepdim=True)
