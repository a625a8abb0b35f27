"""Where negatives come from: drawn uniformly or by popularity, from the batch, or from batches before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn

from merlin_models_torch._counts import check_count
from merlin_models_torch.outputs.frequency import ItemFrequency, checked_counts
from merlin_models_torch.serialize import serializable


@dataclass(frozen=True)
class Negatives:
    """Items that are taken as wrong answers to every target of a batch.

    Args:
        ids: (M,) int64 item rows.
        vectors: (M, D) float, where items have no table to be looked up in.

    Example:
        >>> negatives = Negatives(torch.tensor([7, 9]))
        >>> negatives.ids.tolist(), negatives.vectors
        ([7, 9], None)
    """

    ids: Tensor
    vectors: Tensor | None = None


class NegativeSampler(nn.Module):
    """Draws items; knows how often it is expected to draw each.

    Attributes:
        looks_up: whether it names any item of the catalogue, so that vectors must be looked up.

    Example:
        >>> class Fixed(NegativeSampler):
        ...     looks_up = True
        ...     def forward(self, ids, *, vectors=None, generator=None):
        ...         return Negatives(torch.arange(1, 4))
        ...     def expected(self, ids, *, rows):
        ...         return torch.ones(len(ids))
        >>> sampler = Fixed()
        >>> sampler.build(10)
        >>> sampler(torch.tensor([5, 6])).ids
        tensor([1, 2, 3])
    """

    looks_up = False

    def build(self, size: int, *, first: int = 1, width: int | None = None) -> None:
        """Gets its sizes.

        Args:
            size: rows of the catalogue.
            first: the first row that is an item.
            width: of the vectors that come with targets, if items have no table.
        """

    def forward(
        self, ids: Tensor, *, vectors: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Negatives:
        """Negatives for a batch.

        Args:
            ids: (N,) int64 targets of the batch.
            vectors: (N, D) their vectors, if items have no table.
            generator: source of the draws.
        """
        raise NotImplementedError

    def observe(self, ids: Tensor, *, vectors: Tensor | None = None) -> None:
        """Learns from the targets of a training step, after its negatives have been drawn.

        Args:
            ids: (N,) int64 targets of the batch.
            vectors: (N, D) their vectors, if items have no table.
        """

    def expected(self, ids: Tensor, *, rows: int) -> Tensor:
        """Expected times that each of (L,) ids is among the negatives of a batch of ``rows``: (L,) float."""
        raise NotImplementedError


@serializable
class UniformNegatives(NegativeSampler):
    """Every item with the same probability, with replacement.

    Args:
        count: negatives of a batch.

    Raises:
        ValueError: if there are none.

    Example:
        >>> sampler = UniformNegatives(50)
        >>> sampler.build(101)
        >>> negatives = sampler(torch.tensor([3, 4]))
        >>> negatives.ids.shape, int(negatives.ids.min()) >= 1
        (torch.Size([50]), True)
        >>> sampler.expected(torch.tensor([3]), rows=2)
        tensor([0.5000])
    """

    looks_up = True

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = _at_least_one("count", count)
        self.size, self.first = 0, 1

    def build(self, size: int, *, first: int = 1, width: int | None = None) -> None:
        """Gets its sizes."""
        self.size, self.first = size, first

    def forward(
        self, ids: Tensor, *, vectors: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Negatives:
        """(count,) items, whatever the targets."""
        return Negatives(
            torch.randint(self.first, self.size, (self.count,), generator=generator, device=ids.device)
        )

    def expected(self, ids: Tensor, *, rows: int) -> Tensor:
        """The same for every item: (L,) float."""
        return torch.full(ids.shape, self.count / (self.size - self.first), device=ids.device)


@serializable
class PopularityNegatives(NegativeSampler):
    """Popular items with higher probability, with replacement.

    Without counts the probability falls with the row, whose order should be that of popularity: the
    log-uniform (Zipf) distribution ``P(k) = log((k + 2) / (k + 1)) / log(R + 1)`` of rank k = 0 ... R - 1,
    drawn by its inverse ``k = floor((R + 1)^u) - 1`` of a uniform u.

    Args:
        count: negatives of a batch.
        counts: how often each row of the catalogue was a target, 0 for padding.
        power: of the counts, 3/4 in word2vec (Mikolov et al. 2013).

    Raises:
        ValueError: if there are no negatives, or a power without counts.

    Example:
        >>> sampler = PopularityNegatives(100, counts=[0, 3, 1], power=1.0)
        >>> sampler.build(3)
        >>> sampler.expected(torch.tensor([1, 2]), rows=1)
        tensor([75., 25.])
        >>> sampler.at(torch.tensor([0.0, 0.7, 0.8]))
        tensor([1, 1, 2])
    """

    looks_up = True
    cumulated: Tensor

    def __init__(
        self, count: int, *, counts: Sequence[float] | Tensor | None = None, power: float = 1.0
    ) -> None:
        super().__init__()
        self.count = _at_least_one("count", count)
        if counts is None and power != 1:
            raise ValueError(f"power is {power}, but there are no counts: give counts, or leave it out")
        self.counts = None if counts is None else [float(x) for x in counts]
        self.power = power
        self.size, self.first = 0, 1

    def build(self, size: int, *, first: int = 1, width: int | None = None) -> None:
        """Gets its sizes.

        Raises:
            ValueError: if the counts do not fit the catalogue.
        """
        self.size, self.first = size, first
        if self.counts is not None:
            weights = checked_counts(self.counts, size).double()
            weights = torch.where(weights > 0, weights**self.power, 0.0)
            weights[:first] = 0
            self.register_buffer("cumulated", (weights / weights.sum()).cumsum(0), persistent=False)

    def forward(
        self, ids: Tensor, *, vectors: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Negatives:
        """(count,) items, whatever the targets."""
        # Of float32 there are too few numbers to reach each of some millions of items.
        draws = torch.rand(self.count, generator=generator, device=ids.device, dtype=torch.float64)
        return Negatives(self.at(draws))

    def at(self, draws: Tensor) -> Tensor:
        """The items of some uniform numbers in [0, 1): int64 of their shape."""
        if self.counts is not None:
            found = torch.searchsorted(self.cumulated, draws.double(), right=True)
            return found.clamp(max=self.size - 1)
        ranks = self.size - self.first
        rank = torch.exp(draws.double() * log(ranks + 1)).long() - 1
        return self.first + rank.clamp(0, ranks - 1)

    def expected(self, ids: Tensor, *, rows: int) -> Tensor:
        """``count`` times the probability of each: (L,) float."""
        if self.counts is not None:
            before = torch.where(ids > 0, self.cumulated[(ids - 1).clamp(min=0)], 0.0)
            return (self.count * (self.cumulated[ids] - before)).float()
        rank = (ids - self.first).clamp(min=0).double()
        chance = ((rank + 2) / (rank + 1)).log() / log(self.size - self.first + 1)
        return (self.count * chance).float()


@serializable
class InBatchNegatives(NegativeSampler):
    """The targets of the other rows of the batch. Popular items come often: see :class:`ItemFrequency`.

    Args:
        counts: how often each row of the catalogue was a target; estimated while training if not given.
        rate: of that estimate.

    Example:
        >>> sampler = InBatchNegatives()
        >>> sampler.build(10)
        >>> sampler(torch.tensor([5, 6, 5])).ids
        tensor([5, 6, 5])
    """

    def __init__(self, *, counts: Sequence[float] | Tensor | None = None, rate: float = 0.05) -> None:
        super().__init__()
        self.counts = None if counts is None else [float(x) for x in counts]
        self.rate = rate
        self.frequency: ItemFrequency | None = None

    def build(self, size: int, *, first: int = 1, width: int | None = None) -> None:
        """Gets its sizes."""
        self.frequency = ItemFrequency(size, counts=self.counts, rate=self.rate)

    def forward(
        self, ids: Tensor, *, vectors: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Negatives:
        """The (N,) targets themselves; that a target is no negative of its own is not decided here."""
        return Negatives(ids, vectors)

    def observe(self, ids: Tensor, *, vectors: Tensor | None = None) -> None:
        """Counts the targets."""
        _built(self.frequency).observe(ids)

    def expected(self, ids: Tensor, *, rows: int) -> Tensor:
        """Targets of the batch times the share of each item: (L,) float."""
        share: Tensor = _built(self.frequency)(ids)
        return rows * share


@serializable
class CachedNegatives(NegativeSampler):
    """The targets of batches before, the latest ``capacity`` of them (Wang et al. 2021 for their vectors).

    Where items have no table the vectors are those of their batch, without gradient. Combine it with others
    by :class:`MixedNegatives`. In the first step there are none.

    Args:
        capacity: targets that are kept.
        counts: as for :class:`InBatchNegatives`.
        rate: as for :class:`InBatchNegatives`.

    Example:
        >>> sampler = CachedNegatives(capacity=3)
        >>> sampler.build(10)
        >>> for targets in (torch.tensor([1, 2]), torch.tensor([3, 4])):
        ...     sampler.observe(targets)
        >>> sorted(sampler(torch.tensor([9])).ids.tolist())
        [2, 3, 4]
    """

    ids: Tensor
    vectors: Tensor
    pushed: Tensor

    def __init__(
        self, capacity: int, *, counts: Sequence[float] | Tensor | None = None, rate: float = 0.05
    ) -> None:
        super().__init__()
        self.capacity = _at_least_one("capacity", capacity)
        self.counts = None if counts is None else [float(x) for x in counts]
        self.rate = rate
        self.frequency: ItemFrequency | None = None
        self.register_buffer("ids", torch.zeros(capacity, dtype=torch.int64))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.int64))

    def build(self, size: int, *, first: int = 1, width: int | None = None) -> None:
        """Gets its sizes."""
        self.frequency = ItemFrequency(size, counts=self.counts, rate=self.rate)
        if width is not None:
            self.register_buffer("vectors", torch.zeros(self.capacity, width))

    @property
    def filled(self) -> int:
        """Targets in the cache."""
        return min(int(self.pushed), self.capacity)

    def forward(
        self, ids: Tensor, *, vectors: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Negatives:
        """What was there before this batch: up to (capacity,) items, with their vectors if they have any."""
        filled = self.filled
        kept = None if vectors is None else self.vectors[:filled].clone()
        return Negatives(self.ids[:filled].clone(), kept)

    def observe(self, ids: Tensor, *, vectors: Tensor | None = None) -> None:
        """Keeps the targets, in place of the oldest, and counts them."""
        _built(self.frequency).observe(ids)
        latest = ids[-self.capacity :]
        places = (self.pushed + torch.arange(len(latest), device=ids.device)) % self.capacity
        self.ids[places] = latest
        if vectors is not None:
            self.vectors[places] = vectors[-self.capacity :].detach().to(self.vectors.dtype)
        self.pushed += len(latest)

    def expected(self, ids: Tensor, *, rows: int) -> Tensor:
        """Targets in the cache times the share of each item: (L,) float."""
        share: Tensor = _built(self.frequency)(ids)
        return self.filled * share


@serializable
class MixedNegatives(NegativeSampler):
    """The negatives of several samplers together (Yang et al. 2020, mixed negative sampling).

    Args:
        *samplers: at least one.

    Raises:
        ValueError: if there is none.

    Example:
        >>> sampler = MixedNegatives(InBatchNegatives(), UniformNegatives(512))
        >>> sampler.build(100)
        >>> sampler(torch.tensor([5, 6])).ids.shape
        torch.Size([514])
    """

    def __init__(self, *samplers: NegativeSampler) -> None:
        super().__init__()
        if not samplers:
            raise ValueError("there is no sampler to mix: give at least one")
        self.samplers = nn.ModuleList(samplers)
        self.looks_up = any(sampler.looks_up for sampler in samplers)

    def build(self, size: int, *, first: int = 1, width: int | None = None) -> None:
        """Gives all of them their sizes."""
        for sampler in self._all():
            sampler.build(size, first=first, width=width)

    def _all(self) -> list[NegativeSampler]:
        return [sampler for sampler in self.samplers if isinstance(sampler, NegativeSampler)]

    def forward(
        self, ids: Tensor, *, vectors: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Negatives:
        """(M,) items: all of theirs, one after the other."""
        parts = [sampler(ids, vectors=vectors, generator=generator) for sampler in self._all()]
        own = [part.vectors for part in parts if part.vectors is not None]
        return Negatives(torch.cat([part.ids for part in parts]), torch.cat(own) if own else None)

    def observe(self, ids: Tensor, *, vectors: Tensor | None = None) -> None:
        """Shows all of them the targets."""
        for sampler in self._all():
            sampler.observe(ids, vectors=vectors)

    def expected(self, ids: Tensor, *, rows: int) -> Tensor:
        """The sum of what they expect: (L,) float."""
        return torch.stack([sampler.expected(ids, rows=rows) for sampler in self._all()]).sum(0)


def sampler_of(negatives: NegativeSampler | None) -> NegativeSampler:
    """What is given, or the other targets of the batch.

    Raises:
        TypeError: if it is no sampler.
    """
    if negatives is not None and not isinstance(negatives, NegativeSampler):
        raise TypeError(
            f"negatives is a {type(negatives).__name__}, expected a sampler such as UniformNegatives(100): "
            "make one, of several by MixedNegatives(...)"
        )
    return InBatchNegatives() if negatives is None else negatives


def _built(frequency: ItemFrequency | None) -> ItemFrequency:
    if frequency is None:
        raise RuntimeError("this sampler has no sizes yet: put it into a Model, or call build()")
    return frequency


def _at_least_one(name: str, value: int) -> int:
    check_count(name, value)
    if value < 1:
        raise ValueError(f"{name} is {value}, expected at least 1")
    return value
