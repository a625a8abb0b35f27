"""A map of item vectors: their two main directions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_ROWS = 65_536


def principal_plane(vectors: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """The two directions in which vectors differ most (principal components; Pearson 1901).

    Found from the (D, D) covariance, which is added up block by block, in float64; a direction's largest
    coordinate is positive, so that the same vectors always give the same map.

    Args:
        vectors: (N, D) float.

    Returns:
        Coordinates (N, 2) float32 and the share of all variance that lies along each.
    """
    width = vectors.shape[1]
    blocks = torch.split(vectors, _ROWS)
    mean = torch.zeros(width, dtype=torch.float64)
    for some in blocks:
        mean += _double(some).sum(0) / max(len(vectors), 1)
    spread = torch.zeros(width, width, dtype=torch.float64)
    for some in blocks:
        centred = _double(some) - mean
        spread += centred.T @ centred
    values, directions = torch.linalg.eigh(spread)
    count = min(2, width)
    best = directions[:, -count:].flip(1)
    best = best * torch.sign(best.gather(0, best.abs().argmax(0)[None]))
    points = torch.zeros(len(vectors), 2)
    points[:, :count] = torch.cat([((_double(some) - mean) @ best).float() for some in blocks])
    total = float(values.clamp(min=0).sum()) or 1.0
    shares = [*(float(one) / total for one in values.clamp(min=0)[-count:].flip(0)), 0.0][:2]
    return points, (shares[0], shares[1])


def most_common(values: Sequence[str], *, most: int = 6) -> list[str]:
    """The most frequent of some values, as many as may have a colour of their own."""
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return sorted(counts, key=lambda value: (-counts[value], value))[:most]


def _double(vectors: Tensor) -> Tensor:
    return vectors.detach().cpu().double()
