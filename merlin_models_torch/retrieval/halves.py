"""Vectors rounded to bfloat16, and which groups of them can hold the best true scores."""

from __future__ import annotations

import torch
from torch import Tensor

from merlin_models_torch._pages import use_large_pages
from merlin_models_torch._processor import multiplies

# Half the distance between neighbouring bfloat16 numbers, relative to the larger.
_ROUNDING = 2.0**-8
# Rounding of sums in float32, relative to the product of the norms; generous.
_SUMMATION = 2.0**-16
# Products of so few queries are faster with the queries on the left, and then maxima of wider groups.
_FEW = 8
_WIDE, _NARROW = 64, 16
_ITEMS = 65_536
# Vectors rounded at a time: 64 MiB for a width of 64.
_MADE = 2**18


class HalfVectors:
    """A copy of vectors in bfloat16, which takes half the memory to read and is multiplied twice as fast.

    How far a rounded score can be from the true one is bounded by the inequality of Cauchy and Schwarz, from
    the norm of the longest vector and of the largest rounding error of one.

    Args:
        items: (V, D) float; those beyond the last whole group are left to the caller.
        bias: (V,) float added to the dot products.
    """

    def __init__(self, items: Tensor, *, bias: Tensor | None = None) -> None:
        # The bias is a further coordinate, for which every query has a 1.
        self._biased = bias is not None
        width = items.shape[1] + self._biased
        self._rounded = torch.empty(len(items), width, dtype=torch.bfloat16, device=items.device)
        use_large_pages(self._rounded, written=False)
        self._longest = self._error = 0.0
        for start in range(0, len(items), _MADE):
            some = slice(start, start + _MADE)
            vectors = items[some].float()
            if bias is not None:
                vectors = torch.cat([vectors, bias[some].float()[:, None]], 1)
            self._rounded[some] = vectors
            self._longest = max(self._longest, _longest(vectors))
            self._error = max(self._error, _longest(vectors - self._rounded[some].float()))

    @staticmethod
    def fit(items: Tensor) -> bool:
        """Whether rounded vectors can stand for some vectors, and are multiplied faster here."""
        return items.dtype == torch.float32 and multiplies(torch.bfloat16, items.device.type)

    @staticmethod
    def group_width(queries: int) -> int:
        """Items of a group where so many queries are asked."""
        return _WIDE if queries < _FEW else _NARROW

    def near(self, queries: Tensor, *, wanted: int) -> Tensor | None:
        """The groups whose best true score may be among the best ones of all groups.

        Args:
            queries: (B, D) float.
            wanted: how many best groups there are to be.

        Returns:
            (B, G) numbers of groups for each query, as many as one of them needs; None where that is more
            than can be told from a look at four times as many as wanted.
        """
        maxima, bound = self._maxima(queries)
        # Mostly less than three times as many come near the threshold; four times tell whether all are seen.
        best, numbers = maxima.topk(min(4 * wanted, maxima.shape[1]), dim=1)
        threshold = best[:, wanted - 1]
        # An answer lies near the threshold or above it: there its rounded score was rounded by no more.
        bound = bound + _ROUNDING * (torch.maximum(best[:, 0].abs(), threshold.abs()) + 2 * bound)
        count = int((best >= (threshold - 2 * bound)[:, None]).sum(1).max())
        return None if count in (0, best.shape[1]) else numbers[:, :count]

    def _maxima(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Best rounded score (B, V // width) of each group, and how far (B,) the true one can be."""
        width = self.group_width(len(queries))
        vectors = queries.float()
        if self._biased:
            vectors = torch.cat([vectors, vectors.new_ones(len(vectors), 1)], 1)
        rounded = vectors.bfloat16()
        of_query = (vectors - rounded.float()).norm(dim=1) + _SUMMATION * vectors.norm(dim=1)
        bound = of_query * self._longest + rounded.float().norm(dim=1) * self._error
        full = len(self._rounded) // width * width
        few = len(queries) < _FEW
        maxima = []
        for start in range(0, full, _ITEMS):
            items = self._rounded[start : min(start + _ITEMS, full)]
            if few:
                scores = (rounded @ items.T).float()
                maxima.append(scores.unflatten(1, (-1, width)).amax(2))  # type: ignore[no-untyped-call]
            else:
                scores = items @ rounded.T
                maxima.append(scores.unflatten(0, (-1, width)).amax(1).T.float())  # type: ignore[no-untyped-call]
        return torch.cat(maxima, 1), bound


def _longest(vectors: Tensor) -> float:
    return float(vectors.norm(dim=1).max()) if len(vectors) else 0.0
