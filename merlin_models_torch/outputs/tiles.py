"""How many targets and items of a softmax over a catalogue are scored at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch

from merlin_models_torch._processor import is_intel, is_narrow_amd
from merlin_models_torch._products import LINE


@dataclass(frozen=True)
class Sizes:
    """What is scored at a time on one kind of device, measured.

    Args:
        again: scores of a tile where everything is scored twice: what stays near the processor.
        again_targets: rows of such a tile at most.
        kept: scores kept at a time where nothing is scored twice.
        tile: scores of a tile of those.
        targets: rows of a tile at most.
        items: columns of a tile of kept scores at most; no power of two: rows of scores that far apart would
            share few cache lines.
        catalogue: items up to which scores are kept.
        few: scores of all targets up to which they are kept, however many items there are.
    """

    again: int
    again_targets: int
    kept: int
    tile: int
    targets: int
    items: int
    catalogue: int
    few: int = 0


# Where the cache that all cores share is fast, as AMD's.
SHARED_CACHE = Sizes(
    again=2**20, again_targets=4096, kept=3 * 2**21, tile=2**21, targets=1024, items=8080, catalogue=170_000
)
# The same with AVX2 alone, whose products take longer than the cache.
NARROW = replace(SHARED_CACHE, kept=9 * 2**20, tile=2**20, items=4080)
# Where each core has a large one of its own, and the shared one is slow, as Intel's.
OWN_CACHE = Sizes(
    again=2**20,
    again_targets=1024,
    kept=2**22,
    tile=2**20,
    targets=512,
    items=8080,
    catalogue=32_000,
    few=2**24,
)
# Elsewhere: what hides the cost of a launch.
DEVICE = Sizes(
    again=2**26,
    again_targets=4096,
    kept=2**26,
    tile=sys.maxsize,
    targets=sys.maxsize,
    items=sys.maxsize,
    catalogue=170_000,
)
# Fewer targets than this make the matrix products inefficient.
_FEWEST_TARGETS = 64


@dataclass(frozen=True)
class Tiles:
    """How many targets and how many items are scored at a time.

    Args:
        targets: rows of a tile.
        items: columns of a tile.
        keep: whether the tiles of some targets are kept until all items have been scored, so that the
            gradients can be made at once; else everything is scored again for them.
    """

    targets: int
    items: int
    keep: bool

    @classmethod
    def choose(
        cls,
        n_targets: int,
        n_items: int,
        sizes: Sizes,
        chunk: int | None = None,
        over: Literal["targets", "items"] | None = None,
    ) -> Tiles:
        """Tiles by the size of the problem; ``chunk`` and ``over`` as in :func:`softmax_cross_entropy`."""
        if over is None:
            keep = n_items <= sizes.catalogue or n_targets * n_items <= sizes.few
            over = "targets" if chunk is not None or keep else "items"
        if over == "targets":
            most = min(sizes.kept // n_items, sizes.targets)
            rows = chunk or _evenly(n_targets, max(most, _FEWEST_TARGETS))
            items = n_items
            if n_items * rows > sizes.tile:
                items = min(_columns(sizes.tile // rows, 1024), sizes.items, n_items)
            return cls(rows, items, keep=True)
        # Many targets are cut too, else a tile of items would be too narrow for the matrix products.
        rows = _evenly(n_targets, sizes.again_targets)
        items = min(chunk or _columns(sizes.again // rows, 256), n_items)
        return cls(rows, items, keep=False)

    def over_targets(self, count: int) -> Iterator[slice]:
        """Which targets go together, of ``count``."""
        return (slice(at, min(at + self.targets, count)) for at in range(0, count, self.targets))

    def over_items(self, count: int) -> Iterator[slice]:
        """Which items go together, of ``count``."""
        return (slice(at, min(at + self.items, count)) for at in range(0, count, self.items))


def sizes_for(device: torch.device) -> Sizes:
    """The sizes measured on such a device."""
    if device.type != "cpu":
        return DEVICE
    if is_intel():
        return OWN_CACHE
    return NARROW if is_narrow_amd() else SHARED_CACHE


def _columns(room: int, least: int) -> int:
    """Items of a tile with room for so many: whole cache lines, an odd number of them, so no power of two."""
    return (max(room, least) - LINE) // (2 * LINE) * 2 * LINE + LINE


def _evenly(count: int, most: int) -> int:
    """The size of as few equal pieces of at most ``most`` as there can be: no last one of a few."""
    pieces = max(-(-count // most), 1)
    return max(-(-count // pieces), 1)
