"""Positions that matter: what works on each position alone needs to see no others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from merlin_models_torch._recording import is_recorded
from merlin_models_torch.batch import Batch

# Share of positions from which leaving the others out costs more than it saves, measured on CPU.
_MOSTLY_USED = 0.8


@dataclass(frozen=True)
class Packing:
    """Where the positions of a padded batch are that a body works on.

    Sessions are short but for a few, so that most of a batch may be padding. Linear layers, norms and dropout
    of a body run on the positions in use alone, attention on padded ones. Behind the attention of the last
    layer they run on fewer still where only some positions are read.

    Args:
        rows: B of the batch.
        steps: T of the batch.
        places: (N,) int64, of positions in use among all, row by row; all of them if None.
        read: (M,) int64, of positions that are read among those in use; all of them if None.
    """

    rows: int
    steps: int
    places: Tensor | None = None
    read: Tensor | None = None

    @classmethod
    def of(cls, inputs: Tensor, batch: Batch | None, block: nn.Module | None = None) -> Packing | None:
        """The packing of (B, T, D) inputs by the batch's plan; None where it does not pay or cannot be.

        Args:
            inputs: what the block gets.
            batch: may have a plan.
            block: that asks; what it gives is only read at targeted positions if the batch says so.
        """
        if batch is None or batch.plan is None or not can_leave_out(inputs):
            return None
        rows, steps = inputs.shape[:2]
        used = (torch.arange(steps) < batch.plan.lengths[:, None]).flatten()
        places = used.nonzero()[:, 0]
        packing = cls(rows, steps, places if len(places) < _MOSTLY_USED * rows * steps else None)
        if block is not None and batch.read_at_targets is block:
            packing = packing.narrowed(batch.plan.targeted)
        return packing if packing.places is not None or packing.read is not None else None

    def narrowed(self, wanted: Tensor) -> Packing:
        """The packing of which only wanted positions are read, if that pays.

        Args:
            wanted: (B, T) bool. Nothing is left out if some of them are not in use.
        """
        flat = wanted.flatten()
        read = (flat if self.places is None else flat[self.places]).nonzero()[:, 0]
        held = len(flat) if self.places is None else len(self.places)
        pays = len(read) < _MOSTLY_USED * held and len(read) == int(flat.sum())
        return replace(self, read=read) if pays else self

    def of_layer(self, *, last: bool) -> Packing:
        """The packing that one of a body's layers works with: all but the last need every position in use."""
        return self if last or self.read is None else replace(self, read=None)

    def entered(self, hidden: Tensor) -> Tensor:
        """(B, T, D) to (N, D), positions in use."""
        flat = hidden.flatten(0, 1)
        return flat if self.places is None else flat.index_select(0, self.places)

    def padded(self, hidden: Tensor) -> Tensor:
        """(N, D) to (B, T, D), 0 at padding."""
        return self._spread(hidden, self.places)

    def kept(self, hidden: Tensor) -> Tensor:
        """(N, D) to (M, D), positions that are read."""
        return hidden if self.read is None else hidden.index_select(0, self.read)

    def packed(self, mixed: Tensor) -> Tensor:
        """(B, T, D) to (M, D), positions that are read."""
        places = self._read_places
        flat = mixed.flatten(0, 1)
        return flat if places is None else flat.index_select(0, places)

    def left(self, hidden: Tensor) -> Tensor:
        """(M, D) to (B, T, D), 0 at positions that are not read."""
        return self._spread(hidden, self._read_places)

    @property
    def _read_places(self) -> Tensor | None:
        if self.read is None or self.places is None:
            return self.places if self.read is None else self.read
        return self.places[self.read]

    def _spread(self, hidden: Tensor, places: Tensor | None) -> Tensor:
        if places is not None:
            empty = hidden.new_zeros(self.rows * self.steps, hidden.shape[1])
            hidden = empty.index_copy(0, places, hidden)
        return hidden.view(self.rows, self.steps, -1)


def can_leave_out(inputs: Tensor) -> bool:
    """Whether some positions of (B, T, D) inputs may be left out.

    Not on other devices than CPUs, which would wait for their number, nor in a program that is recorded,
    which would be bound to it.
    """
    if is_recorded() or type(inputs) is not Tensor or torch._C._are_functorch_transforms_active():
        return False
    return inputs.device.type == "cpu" and inputs.numel() > 0
