"""How rows are divided, as Dask divides them: into so many parts, and again into more or fewer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np


def even(rows: int, count: int) -> list[int]:
    """Rows of each of ``count`` parts; the last ones have what is left, and none is empty."""
    size = max(1, -(-rows // max(1, count)))
    return [min(size, rows - start) for start in range(0, rows, size)] or [0]


def repartitioned(lengths: Sequence[int], count: int) -> list[int]:
    """Rows of each of ``count`` parts: neighbours are joined, or the parts are split.

    Raises:
        ValueError: if ``count`` is below 1.
    """
    if count < 1:
        raise ValueError(f"npartitions is {count}, expected at least 1")
    old = len(lengths)
    if count <= old:
        edges = [i * old // count for i in range(count + 1)]
        return [sum(lengths[start:stop]) for start, stop in pairwise(edges)]
    each, more = divmod(count, old)
    splits = [each] * (old - 1) + [each + more]
    return [part for rows, split in zip(lengths, splits, strict=True) for part in _split(rows, split)]


def _split(rows: int, count: int) -> list[int]:
    return np.diff(np.linspace(0, rows, count + 1).astype(int)).tolist()  # type: ignore[no-any-return]


class Parts:
    """The parts of a data set as data frames, one after the other; its length is the number of rows.

    Args:
        frame: all rows.
        lengths: rows of each part.
        indices: numbers of the parts; all if not given.
        shuffle: whether parts, and rows in each, come in another order in each epoch.
        seed: of these orders.
        epochs: how often.
    """

    def __init__(
        self,
        frame: Any,
        lengths: Sequence[int],
        *,
        indices: Sequence[int] | None = None,
        shuffle: bool = False,
        seed: int | None = None,
        epochs: int = 1,
    ) -> None:
        self._frame, self._starts = frame, np.cumsum([0, *lengths])
        self._indices = list(range(len(lengths)) if indices is None else indices)
        self._shuffle, self._seed, self._epochs = shuffle, seed, epochs

    def __len__(self) -> int:
        return self._epochs * sum(int(self._starts[i + 1] - self._starts[i]) for i in self._indices)

    def __iter__(self) -> Iterator[Any]:
        for epoch in range(self._epochs):
            seed = None if self._seed is None else self._seed + epoch
            order = list(self._indices)
            if self._shuffle:
                np.random.default_rng(seed).shuffle(order)
            for i in order:
                part = self._frame.iloc[self._starts[i] : self._starts[i + 1]]
                yield part.sample(frac=1, random_state=seed) if self._shuffle else part
