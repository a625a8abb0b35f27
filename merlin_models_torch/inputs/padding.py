"""Ragged columns as matrices."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.serialize import serializable


@serializable
class PadSequences(nn.Module):
    """Cuts ragged columns to their latest values and pads them with 0 on the right, to one length.

    Args:
        length: values kept, and positions of the result; the longest of all these columns if not given.
        columns: names; all ragged columns if not given.

    Raises:
        ValueError: if the length is less than 1.

    Example:
        >>> sessions = Batch({"item_id": Ragged(torch.tensor([5, 6, 7, 8]), torch.tensor([0, 3, 4]))})
        >>> PadSequences(length=2)(sessions)["item_id"]
        tensor([[6, 7],
                [8, 0]])
    """

    def __init__(self, *, length: int | None = None, columns: Sequence[str] | None = None) -> None:
        super().__init__()
        if length is not None and length < 1:
            raise ValueError(f"length is {length}, expected at least 1 position")
        self.length = length
        self.columns = None if columns is None else list(columns)

    def forward(self, batch: Batch) -> Batch:
        """A batch with (B, T) columns, T the same in all; the one given is not changed.

        Raises:
            KeyError: if a column is missing.
        """
        names = self.columns
        if names is None:
            names = [name for name, column in batch.features.items() if isinstance(column, Ragged)]
        found = {name: batch[name] for name in names}
        ragged = {name: column for name, column in found.items() if isinstance(column, Ragged)}
        if self.length is not None:
            ragged = {name: column.latest(self.length) for name, column in ragged.items()}
        longest = max((int(c.lengths.max()) for c in ragged.values() if len(c)), default=0)
        padded: dict[str, Column] = {
            name: column.padded(self.length or longest) for name, column in ragged.items()
        }
        return batch.with_features(padded)
