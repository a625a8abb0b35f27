"""A catalogue of items whose vectors are in several processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from merlin_models_torch.distributed.exchange import Span, local
from merlin_models_torch.distributed.lookup import ShardedRows
from merlin_models_torch.distributed.search import sharded_topk
from merlin_models_torch.distributed.softmax import sharded_cross_entropy
from merlin_models_torch.outputs.categorical import unit


@dataclass(frozen=True)
class ShardedCatalogue:
    """Item vectors of which each process holds some rows: a :class:`Catalogue` on ``DTensor``.

    Args:
        weight: (V, D) ``DTensor`` with placement ``Shard(0)`` on the last dimension of its mesh.
        bias: (V,) likewise, added to the scores.
        normalized: whether the vectors get length 1.

    Example:
        >>> catalogue = shard_items(model).output.elsewhere
        >>> catalogue.lookup(torch.tensor([[3, 4]])).shape  # two items, which other processes may hold
        torch.Size([1, 2, 8])
    """

    weight: Tensor
    bias: Tensor | None = None
    normalized: bool = False

    @property
    def _span(self) -> Span:
        return Span.of(self.weight)  # type: ignore[arg-type]

    @property
    def _vectors(self) -> Tensor:
        own = local(self.weight)
        return unit(own) if self.normalized else own

    @property
    def _bias(self) -> Tensor | None:
        return None if self.bias is None else local(self.bias)

    def lookup(self, rows: Tensor) -> Tensor:
        """(..., D) vectors of (...) int64 items."""
        found = ShardedRows(self.weight).lookup(rows)
        return unit(found) if self.normalized else found

    def biases(self, rows: Tensor) -> Tensor | None:
        """(...) numbers added to the scores of (...) int64 items; None if there are none."""
        return None if self.bias is None else ShardedRows(self.bias).lookup(rows)

    def loss(
        self, queries: Tensor, targets: Tensor, *, temperature: float = 1.0, label_smoothing: float = 0.0
    ) -> Tensor:
        """See :func:`sharded_cross_entropy`."""
        return sharded_cross_entropy(
            queries,
            self._vectors,
            targets,
            self._span,
            bias=self._bias,
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
        """See :func:`sharded_topk`."""
        return sharded_topk(
            queries,
            self._vectors.detach(),
            self._span,
            k=k,
            bias=self._bias,
            temperature=temperature,
            exclude=exclude,
            never=never,
        )
