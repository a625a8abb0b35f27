"""Positions in use without the padding: what works on each position alone need not see padding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from merlin_models_torch._recording import is_recorded
from merlin_models_torch.batch import Batch

# Share of positions in use from which moving them costs more than the padding does, measured on CPU.
_MOSTLY_USED = 0.8


@dataclass(frozen=True)
class Packing:
    """Where the positions in use of a padded batch are.

    Sessions are short but for a few, so that most of a batch may be padding. Linear layers, norms and dropout
    of a body run on the positions in use alone, attention on padded ones.

    Args:
        places: (N,) int64, of positions in use among all, row by row.
        rows: B of the batch.
        steps: T of the batch.
    """

    places: Tensor
    rows: int
    steps: int

    @classmethod
    def of(cls, inputs: Tensor, batch: Batch | None) -> Packing | None:
        """The packing of (B, T, D) inputs by the batch's plan; None where it does not pay.

        There is none on other devices than CPUs, which would wait for the number of positions, nor in a
        program that is recorded, which would be bound to it.
        """
        if batch is None or batch.plan is None or inputs.device.type != "cpu" or not inputs.numel():
            return None
        if is_recorded() or type(inputs) is not Tensor or torch._C._are_functorch_transforms_active():
            return None
        rows, steps = inputs.shape[:2]
        used = torch.arange(steps) < batch.plan.lengths[:, None]
        places = used.flatten().nonzero()[:, 0]
        return cls(places, rows, steps) if len(places) < _MOSTLY_USED * rows * steps else None

    def packed(self, hidden: Tensor) -> Tensor:
        """(B, T, D) to (N, D)."""
        return hidden.flatten(0, 1).index_select(0, self.places)

    def padded(self, hidden: Tensor) -> Tensor:
        """(N, D) to (B, T, D), 0 at padding."""
        empty = hidden.new_zeros(self.rows * self.steps, hidden.shape[1])
        return empty.index_copy(0, self.places, hidden).view(self.rows, self.steps, -1)
