"""Vectors of numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from merlin_models_torch.serialize import serializable


@serializable
class SoftEmbedding(nn.Module):
    """A number as a weighted sum of learned vectors.

    ``softmax(w x + b) E``: the number votes for each of the vectors (Zhou et al. 2017, arXiv 1708.00065,
    section 3.1.2; the "soft one-hot encoding" of Transformers4Rec).

    Args:
        dim: width D of the vectors.
        vectors: how many there are.
        init_std: standard deviation of their normal initial values.

    Raises:
        ValueError: for a size below 1.

    Example:
        >>> SoftEmbedding(8)(torch.tensor([0.5, 2.0])).shape
        torch.Size([2, 8])
    """

    def __init__(self, dim: int, *, vectors: int = 10, init_std: float = 0.05) -> None:
        super().__init__()
        for argument, value in {"dim": dim, "vectors": vectors}.items():
            if value < 1:
                raise ValueError(f"{argument} is {value}, expected a size of at least 1")
        self.dim = dim
        self.vectors = nn.Parameter(torch.empty(vectors, dim).normal_(std=init_std))
        self.votes = nn.Linear(1, vectors)

    def forward(self, numbers: Tensor) -> Tensor:
        """(..., D) float vectors of (...) numbers."""
        votes = self.votes(numbers.to(self.vectors.dtype)[..., None])
        vectors: Tensor = votes.softmax(-1) @ self.vectors
        return vectors
