"""Rows for new items in the weights of an output."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Start = Literal["random", "mean", "unknown"]

# The row of unknown ids in vocabularies of this library.
_UNKNOWN = 1


@torch.no_grad()
def grown(
    rows: Tensor, size: int, *, start: Start, bound: float, generator: torch.Generator | None = None
) -> nn.Parameter:
    """A parameter with more rows, of which the first are those there were.

    Args:
        rows: (V, D) or (V,), row 0 for padding.
        size: rows wanted, at least V.
        start: what new rows are: uniform in ``bound``, the mean of the old items' rows, or the row 1, which
            stands for unknown ids.
        bound: of the random rows.
        generator: makes them.

    Returns:
        (size, D) or (size,).

    Raises:
        ValueError: if there would be fewer rows.
    """
    old = len(rows)
    if size < old:
        raise ValueError(
            f"the output has {old} rows and would get {size}: a catalogue only grows, give the larger domain"
        )
    new = rows.new_empty(size, *rows.shape[1:])
    new[:old] = rows
    if start == "mean":
        new[old:] = rows[1:].mean(0)
    elif start == "unknown":
        new[old:] = rows[_UNKNOWN]
    else:
        new[old:].uniform_(-bound, bound, generator=generator)
    return nn.Parameter(new, requires_grad=rows.requires_grad)
