"""Vectors rounded to bytes, and between which bounds the best true score of each group of them lies."""

from __future__ import annotations

import torch
from torch import Tensor

# Rounding of sums in float32, relative to the product of the norms; generous.
_SUMMATION = 2.0**-16
# Squares of smaller numbers vanish in float32, so that norms are this much too small at most.
_VANISHING = 1e-17
_LARGEST = 127
# Sums of products of bytes stay below 2 ** 31 up to this width.
_WIDEST = 2**31 // _LARGEST**2 - 1
# Items scored at a time: their vectors and sums stay in the cache.
_ITEMS = 65_536
# Vectors made bytes at a time: 64 MiB for a width of 64.
_MADE = 2**18


class ByteGroups:
    """Groups of neighbouring vectors, each with a step of its own, rounded to multiples of it.

    With the steps ``s`` of query and group, the score of the rounded vectors is ``s s' (q' . x')``, a sum of
    whole numbers, whose largest of a group is found before it is multiplied. Rounding hides at most
    ``|q - s q'| |x| + |s q'| |x - s' x'|``, by the inequality of Cauchy and Schwarz, of norms that
    are known.

    Args:
        items: (V, D) float32; those beyond the last whole group are left to the caller.
        width: items of a group.
    """

    def __init__(self, items: Tensor, *, width: int) -> None:
        groups = len(items) // width
        self.width = width
        self.count = groups
        self._whole = torch.empty(groups * width, items.shape[1], dtype=torch.int8)
        self._steps, self._longest, self._errors = (torch.empty(groups) for _ in range(3))
        at_once = max(_MADE // width, 1)
        for start in range(0, groups, at_once):
            some = slice(start, min(start + at_once, groups))
            vectors = items[some.start * width : some.stop * width].unflatten(0, (-1, width))  # type: ignore[no-untyped-call]
            step = _step(vectors.abs().amax((1, 2)))
            whole = (vectors / step[:, None, None]).round_()
            self._whole[some.start * width : some.stop * width] = whole.flatten(0, 1).to(torch.int8)
            self._steps[some] = step
            self._longest[some] = _norms(vectors).amax(1)
            self._errors[some] = _norms(vectors - whole.mul_(step[:, None, None])).amax(1)

    @staticmethod
    def fit(items: Tensor) -> bool:
        """Whether bytes can stand for some vectors, and are multiplied faster than floats here."""
        return (
            items.device.type == "cpu"
            and items.dtype == torch.float32
            and 0 < items.shape[1] <= _WIDEST
            and _multiplies_bytes()
            and bool(torch.isfinite(items.sum()))
        )

    def bounds(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Between what the best score of each group lies.

        Args:
            queries: (B, D) float32.

        Returns:
            Two (B, G) tensors: no score of a group is above the first, and one is not below the second.
        """
        steps = _step(queries.abs().amax(1))
        whole = (queries / steps[:, None]).round()
        rounded = whole * steps[:, None]
        lost = _norms(queries - rounded) + _SUMMATION * _norms(queries)
        best = queries.new_empty(len(queries), self.count, dtype=torch.int32)
        asked = whole.to(torch.int8)
        per_block = max(_ITEMS // self.width, 1)
        for start in range(0, self.count, per_block):
            some = slice(start, min(start + per_block, self.count))
            items = self._whole[some.start * self.width : some.stop * self.width].t()
            for number in range(len(asked)):
                # One query at a time: a product of two takes more than twice as long.
                sums = torch._int_mm(asked[number : number + 1], items)
                torch.amax(sums.view(-1, self.width), 1, out=best[number, some])
        middle = best.float() * (steps[:, None] * self._steps)
        hidden = lost[:, None] * self._longest + _norms(rounded)[:, None] * self._errors
        # The bounds are sums in float32 themselves.
        hidden += _SUMMATION * middle.abs()
        return middle + hidden, middle - hidden


def _norms(vectors: Tensor) -> Tensor:
    """(...) at least the length of (..., D) vectors."""
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
    return lengths + _VANISHING


def _step(largest: Tensor) -> Tensor:
    """The steps that reach some largest numbers; 1 for what is as good as zero."""
    return torch.where(largest > 1e-30, largest / _LARGEST, 1.0)


def _multiplies_bytes() -> bool:
    """Whether the processor has instructions for it: without them, the product of bytes is a slow loop."""
    supported = getattr(torch.cpu, "_is_vnni_supported", None)
    return hasattr(torch, "_int_mm") and supported is not None and bool(supported())
