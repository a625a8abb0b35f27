"""Negatives without repetition: the distinct items of some draws by popularity."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from merlin_models_torch.outputs.negatives import Negatives, NegativeSampler
from merlin_models_torch.serialize import serializable

Keep = Literal["random", "lowest"]


def log_uniform(size: int, *, first: int = 1) -> Tensor:
    """The log-uniform (Zipf) distribution over the rows of a catalogue that is sorted by falling popularity.

    Rank k = 0 ... R - 1, which is row ``first + k``, has ``P(k) = log((k + 2) / (k + 1)) / log(R + 1)``.

    Args:
        size: rows of the catalogue.
        first: the first row that is an item; those before it have no chance.

    Returns:
        (size,) float32, of sum 1.
    """
    logs = torch.arange(1.0, size - first + 2.0).log()
    return torch.nn.functional.pad(logs.diff() / logs[-1], (first, 0))


def at_least_once(chance: Tensor, draws: int) -> Tensor:
    """The chance of an event in at least one of some draws: ``1 - (1 - p)^draws``, float32."""
    return -torch.expm1(draws * torch.log1p(-chance.double())).float()


def draw_distinct(
    chance: Tensor,
    draws: int,
    *,
    count: int,
    keep: Keep = "random",
    generator: torch.Generator | None = None,
) -> Tensor:
    """The distinct items of some draws, at most ``count`` of them.

    Args:
        chance: (V,) float, of each item.
        draws: with repetition.
        count: items at most.
        keep: which ones where there are more, "random" or those of the "lowest" ids.
        generator: source of the draws.

    Returns:
        (M,) int64 ids, rising.
    """
    drawn = torch.multinomial(chance, draws, replacement=True, generator=generator)
    ids: Tensor = torch.unique(drawn)
    if len(ids) > count and keep == "random":
        order = torch.randperm(len(ids), generator=generator, device=ids.device)
        return ids[order[:count].sort().values]
    return ids[:count]


@serializable
class DistinctNegatives(NegativeSampler):
    """Popular items with higher probability, none twice: log-uniform by row, as for catalogues sorted by it.

    Args:
        count: negatives of a batch, at most; fewer if too many draws repeat an item.
        tries: draws for each.
        keep: which of more distinct items than ``count`` stay. "random" is fair. "lowest" keeps the most
            popular ones always and the others hardly ever, while the expected number is that of all draws,
            as in Transformers4Rec 23.12.0.

    Raises:
        ValueError: if a number is below 1, or ``keep`` unknown.

    Example:
        >>> sampler = DistinctNegatives(5, tries=20)
        >>> sampler.build(100)
        >>> ids = sampler(torch.tensor([3])).ids
        >>> len(ids) == len(ids.unique())
        True
    """

    looks_up = True
    chance: Tensor

    def __init__(self, count: int, *, tries: int = 2, keep: Keep = "random") -> None:
        super().__init__()
        if count < 1 or tries < 1:
            raise ValueError(f"count is {count} and tries {tries}, expected at least 1 of both")
        if keep not in ("random", "lowest"):
            raise ValueError(f"keep is {keep!r}, expected 'random' or 'lowest'")
        self.count, self.tries, self.keep = count, tries, keep

    def build(self, size: int, *, first: int = 1, width: int | None = None) -> None:
        """Gets its sizes."""
        self.register_buffer("chance", log_uniform(size, first=first), persistent=False)

    def forward(
        self, ids: Tensor, *, vectors: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Negatives:
        """At most (count,) items, whatever the targets."""
        draws = self.tries * self.count
        return Negatives(
            draw_distinct(self.chance, draws, count=self.count, keep=self.keep, generator=generator)
        )

    def expected(self, ids: Tensor, *, rows: int) -> Tensor:
        """The chance of each to be drawn and, with "random", to stay: (L,) float."""
        drawn = at_least_once(self.chance, self.tries * self.count)
        stays = (self.count / drawn.sum()).clamp(max=1) if self.keep == "random" else 1.0
        expected: Tensor = drawn[ids] * stays
        return expected
