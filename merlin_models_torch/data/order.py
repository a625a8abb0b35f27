"""In which order rows become batches: shuffled by epoch, shared out to ranks, bucketed by length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """The part of an epoch that one rank gets.

    Args:
        start: its first place in the order of the epoch.
        stop: the place after its last.
        sizes: rows of each of its batches.
        fillers: steps after these, for which the rank has no row left.
    """

    start: int
    stop: int
    sizes: tuple[int, ...]
    fillers: int = 0

    @property
    def steps(self) -> int:
        """Batches of an epoch, equal on every rank."""
        return len(self.sizes) + self.fillers


def share(rows: int, batch_size: int, *, rank: int = 0, world: int = 1, drop_last: bool = False) -> Share:
    """What one rank gets of an epoch: every rank has the same number of batches.

    Ranks get neighbouring ranges of the order, whose lengths differ by at most one. Where that one row would
    be one step more, the other ranks make two batches of their last. Only where a rank has no row left for a
    step (fewer rows than ranks, or ``batch_size=1``), that step is a filler, which counts for nothing.

    Args:
        rows: of all ranks together.
        batch_size: of one rank.
        rank: from 0.
        world: number of ranks.
        drop_last: leaves out the rows at the end of the order that do not fill a batch on every rank.
    """
    if drop_last:
        steps = rows // world // batch_size
        return Share(rank * steps * batch_size, (rank + 1) * steps * batch_size, (batch_size,) * steps)
    start, stop = rank * rows // world, (rank + 1) * rows // world
    most = (rows + world - 1) // world
    steps = (most + batch_size - 1) // batch_size
    count = stop - start
    if count <= steps - 1 and (batch_size == 1 or not count):
        return Share(start, stop, (1,) * count, fillers=1)
    sizes = [batch_size] * (steps - 1)
    if count > batch_size * (steps - 1):
        sizes.append(count - batch_size * (steps - 1))
    else:
        sizes[-1:] = [batch_size - batch_size // 2, batch_size // 2]
    return Share(start, stop, tuple(sizes))


def generator_of(seed: int, epoch: int) -> torch.Generator:
    """The generator of one epoch: equal for equal numbers, unrelated between epochs."""
    state = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]) >> 1)


def batches_of(
    order: Tensor,
    sizes: tuple[int, ...],
    *,
    lengths: Tensor | None = None,
    window: int | None = None,
    generator: torch.Generator | None = None,
) -> list[Tensor]:
    """Cuts an order of rows into batches.

    Args:
        order: (N,) int64 rows.
        sizes: rows of each batch, N together.
        lengths: (rows of the table,) int64; only for bucketing.
        window: batches of so many neighbouring batches hold rows of similar lengths. None for no bucketing.
        generator: shuffles the batches of a bucketed order.

    Returns:
        One (B,) int64 tensor for each batch.
    """
    if window is None or lengths is None:
        return list(torch.split(order, list(sizes)))
    batches: list[Tensor] = []
    at = 0
    for first in range(0, len(sizes), window):
        inside = list(sizes[first : first + window])
        rows = order[at : at + sum(inside)]
        at += sum(inside)
        rows = rows[lengths[rows].argsort(stable=True)]
        batches.extend(torch.split(rows, inside))
    if generator is None:
        return batches
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
