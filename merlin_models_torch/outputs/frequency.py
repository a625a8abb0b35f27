"""How often each item is a target, known or estimated while training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ItemFrequency(nn.Module):
    """Share of each item among the targets.

    Without counts it is estimated from the targets that go by (Yi et al. 2019, algorithm 2): a moving average
    of how many targets pass between two of the same item, ``gap <- (1 - rate) gap + rate * passed``, and the
    share is ``1 / gap``. Counted in targets, not steps: an item that comes several times in a batch has as
    many gaps of equal length. The first time an item is seen its gap is all targets so far.

    Args:
        size: rows of the catalogue.
        counts: of each row; estimated if not given.
        rate: of the moving average.

    Raises:
        ValueError: if the counts do not fit.
    """

    counts: Tensor
    gap: Tensor
    last: Tensor
    seen: Tensor

    def __init__(self, size: int, *, counts: Sequence[float] | None = None, rate: float = 0.05) -> None:
        super().__init__()
        self.rate = rate
        self.known = counts is not None
        if counts is not None:
            self.register_buffer("counts", checked_counts(counts, size), persistent=False)
            return
        self.register_buffer("gap", torch.zeros(size))
        self.register_buffer("last", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def observe(self, ids: Tensor) -> None:
        """Takes the (N,) int64 targets of a training step into account."""
        if self.known or not len(ids):
            return
        self.seen += len(ids)
        items, times = torch.unique(ids, return_counts=True)
        passed = (self.seen - self.last[items]) / times
        known = self.gap[items] > 0
        stays = (1 - self.rate) ** times
        moved = stays * self.gap[items] + (1 - stays) * passed
        self.gap[items] = torch.where(known, moved, passed).to(self.gap.dtype)
        self.last[items] = self.seen

    def forward(self, ids: Tensor) -> Tensor:
        """Share of each of some int64 ids, float of their shape; of an item not seen yet, a single one's."""
        if self.known:
            return self.counts[ids].clamp(min=self.counts.sum().reciprocal()) / self.counts.sum()
        gap = torch.where(self.gap[ids] > 0, self.gap[ids], self.seen.clamp(min=1).to(self.gap.dtype))
        return 1 / gap.clamp(min=1)


def checked_counts(counts: Sequence[float], size: int) -> Tensor:
    """Counts as (size,) float32.

    Raises:
        ValueError: if there is not one for each row, or one is negative, or all are 0.
    """
    found = torch.as_tensor(counts, dtype=torch.float32)
    if found.shape != (size,):
        raise ValueError(
            f"counts have shape {tuple(found.shape)}, but the catalogue has {size} rows: give one for each, "
            "0 for padding"
        )
    if bool((found < 0).any()) or not bool(found.sum() > 0):
        raise ValueError("counts has a negative number or only zeros: count how often each item was a target")
    return found
