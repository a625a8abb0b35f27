"""The vectors of all items, wherever they are: looked up, learned by a loss, searched for the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from merlin_models_torch.outputs.losses import softmax_cross_entropy
from merlin_models_torch.retrieval.topk import topk_blockwise


@runtime_checkable
class RowStore(Protocol):
    """Rows of a table that may be elsewhere, as an :class:`EmbeddingTable` asks for them.

    Example:
        >>> isinstance(WholeCatalogue(torch.ones(5, 2)), RowStore)
        True
    """

    def lookup(self, rows: Tensor) -> Tensor:
        """(..., D) vectors of (...) int64 rows."""


@runtime_checkable
class Catalogue(RowStore, Protocol):
    """What an output needs of its item vectors: the seam behind which they may be on several devices.

    With several processes each one asks for its own rows, queries and targets, and all of them have to ask.

    Example:
        >>> isinstance(WholeCatalogue(torch.ones(5, 2)), Catalogue)
        True
    """

    def lookup(self, rows: Tensor) -> Tensor:
        """(..., D) vectors of (...) int64 items."""

    def biases(self, rows: Tensor) -> Tensor | None:
        """(...) numbers added to the scores of (...) int64 items; None if there are none."""

    def loss(
        self, queries: Tensor, targets: Tensor, *, temperature: float = 1.0, label_smoothing: float = 0.0
    ) -> Tensor:
        """Mean cross entropy of the softmax over all items, of (N, D) queries and (N,) items: a scalar."""

    def topk(
        self,
        queries: Tensor,
        *,
        k: int,
        temperature: float = 1.0,
        exclude: Tensor | None = None,
        never: Sequence[int] = (),
    ) -> tuple[Tensor, Tensor]:
        """Scores (N, k) and items (N, k), as :func:`retrieval.topk_blockwise` gives them."""


@dataclass(frozen=True)
class WholeCatalogue:
    """A catalogue in one tensor.

    Args:
        vectors: (V, D) float.
        bias: (V,) float added to the scores.

    Example:
        >>> catalogue = WholeCatalogue(torch.eye(3), bias=torch.tensor([0.0, 0.0, 5.0]))
        >>> catalogue.topk(torch.tensor([[1.0, 2.0, 0.0]]), k=2)
        (tensor([[5., 2.]]), tensor([[2, 1]]))
    """

    vectors: Tensor
    bias: Tensor | None = None

    def lookup(self, rows: Tensor) -> Tensor:
        """(..., D) vectors of (...) int64 items."""
        return self.vectors[rows]

    def biases(self, rows: Tensor) -> Tensor | None:
        """(...) numbers added to the scores of (...) int64 items; None if there are none."""
        return None if self.bias is None else self.bias[rows]

    def loss(
        self, queries: Tensor, targets: Tensor, *, temperature: float = 1.0, label_smoothing: float = 0.0
    ) -> Tensor:
        """See :func:`softmax_cross_entropy`."""
        return softmax_cross_entropy(
            queries,
            self.vectors,
            targets,
            bias=self.bias,
            temperature=temperature,
            label_smoothing=label_smoothing,
        )

    def topk(
        self,
        queries: Tensor,
        *,
        k: int,
        temperature: float = 1.0,
        exclude: Tensor | None = None,
        never: Sequence[int] = (),
    ) -> tuple[Tensor, Tensor]:
        """See :func:`retrieval.topk_blockwise`."""
        return topk_blockwise(
            queries,
            self.vectors,
            k=k,
            bias=self.bias,
            temperature=temperature,
            exclude=exclude,
            never=never,
        )
