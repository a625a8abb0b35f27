"""Positions that only attention knows: turned queries and keys, and scores that depend on the distance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Positions:
    """What attention of a sequence to itself knows of positions.

    Args:
        rotation: cosines and sines of :func:`rotation`, (T, D) each, D the width of a head.
        bias: (H, T, T) float, added to the scores of each head.
    """

    rotation: tuple[Tensor, Tensor] | None = None
    bias: Tensor | None = None

    def rotated(self, vectors: Tensor) -> Tensor:
        """(B, H, T, D) queries or keys, turned by the angles of their positions if there are angles.

        Number i and number i + D/2 of a vector are the two coordinates that are turned together.
        """
        if self.rotation is None:
            return vectors
        cosines, sines = self.rotation
        left, right = vectors.chunk(2, -1)
        return vectors * cosines + torch.cat([-right, left], -1) * sines


def rotation(inputs: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the angles of rotary positions (Su et al. 2021, equation 15).

    Position t turns pair i of a vector by ``t * 10000 ** (-2 i / D)``, so that the product of a query and a
    key depends on their distance only.

    Args:
        inputs: (B, T, ...), for the number of positions, the device and the dtype.
        width: D of a head, even.

    Returns:
        Two (T, D).
    """
    pairs = torch.arange(0, width, 2, device=inputs.device, dtype=torch.float32)
    steps = torch.arange(inputs.shape[1], device=inputs.device, dtype=torch.float32)
    angles = (steps[:, None] * 10000.0 ** (-pairs / width)).repeat(1, 2)
    return angles.cos().to(inputs.dtype), angles.sin().to(inputs.dtype)


class RelativeBias(nn.Module):
    """A learned number for each distance between two positions and each head.

    Args:
        max_length: distances from this on count as the largest below it.
        heads: H.
    """

    def __init__(self, max_length: int, heads: int) -> None:
        super().__init__()
        self.largest = max_length - 1
        self.table = nn.Embedding(2 * self.largest + 1, heads)

    def forward(self, steps: int) -> Tensor:
        """(H, T, T) for T ``steps``: what the score of a query (middle) with a key (last) gets added."""
        positions = torch.arange(steps, device=self.table.weight.device)
        distances = (positions - positions[:, None]).clamp(-self.largest, self.largest)
        bias: Tensor = self.table(distances + self.largest)
        return bias.permute(2, 0, 1)
