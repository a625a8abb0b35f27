"""Vectors of ids whose rows are in other processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.autograd import Function

from merlin_models_torch.distributed.exchange import Span, check_rows, local


@dataclass(frozen=True)
class ShardedRows:
    """A table of which each process holds some rows.

    A process asks the others for each distinct row once, and sends them the gradients. As with data parallel,
    the gradient of a row is the mean over the processes of the gradients of their losses.

    Args:
        weight: (V, D) or (V,) ``DTensor`` with placement ``Shard(0)`` on the last dimension of its mesh.
        padding: a row that learns nothing by being looked up; None for no such row.

    Example:
        >>> rows = shard_items(model).inputs.item_table.elsewhere
        >>> isinstance(rows, ShardedRows), rows.lookup(torch.tensor([3, 4, 3])).shape
        (True, torch.Size([3, 8]))
    """

    weight: Tensor
    padding: int | None = None

    def lookup(self, rows: Tensor) -> Tensor:
        """(..., D) vectors of (...) int64 rows; all processes have to ask at the same time.

        Raises:
            IndexError: if a row is not in the table.
        """
        span = Span.of(self.weight)  # type: ignore[arg-type]
        check_rows(rows, span.rows)
        vectors = self.vectors_of(rows.reshape(-1), local(self.weight), span)
        return vectors.view(*rows.shape, *vectors.shape[1:])

    def vectors_of(self, rows: Tensor, own: Tensor, span: Span) -> Tensor:
        """(n, D) vectors of (n,) rows, of which the ones of this process are ``own``."""
        found: Tensor = _Lookup.apply(own, rows, span, self.padding)  # type: ignore[no-untyped-call]
        return found


class _Lookup(Function):
    """Asks the holders for distinct rows; the backward pass sends them what the vectors should become."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, rows: Tensor, span: Span, padding: int | None) -> Tensor:
        wanted, places = rows.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        sent = span.shares(wanted)
        received = [counts[span.rank] for counts in span.counts(sent)]
        asked = span.swapped(wanted, sent, received) - span.start
        ctx.save_for_backward(wanted, places, asked)
        ctx.span, ctx.padding, ctx.sent, ctx.received, ctx.size = span, padding, sent, received, own.shape
        return span.swapped(own[asked], received, sent)[places]

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        wanted, places, asked = ctx.saved_tensors
        (grad,) = above
        of_wanted = grad.new_zeros(len(wanted), *grad.shape[1:]).index_add_(0, places, grad)
        if ctx.padding is not None:
            of_wanted[wanted == ctx.padding] = 0
        of_asked = ctx.span.swapped(of_wanted, ctx.sent, ctx.received)
        of_own = grad.new_zeros(ctx.size).index_add_(0, asked, of_asked / ctx.span.world)
        return of_own, None, None, None
