"""Ragged columns as matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from merlin_models_torch.batch import Ragged
from transformers4rec._legacy import elsewhere

__getattr__ = elsewhere(__name__, {})
_OFFSETS, _VALUES = "__offsets", "__values"


def _to_length(matrix: Tensor, length: int) -> Tensor:
    """(B, length, ...) of (B, T, ...), cut or filled with 0; anything without positions as it is."""
    if matrix.dim() < 2:
        return matrix
    return torch.nn.functional.pad(matrix, (0, 0) * (matrix.dim() - 2) + (0, length - matrix.shape[1]))


def _flat(x: Tensor) -> Tensor:
    return x.squeeze(1) if x.dim() == 2 else x


def pad_batch(batch: dict[str, Tensor], padding_lengths: dict[str, int]) -> dict[str, Tensor]:
    """Columns with a length as matrices of it: filled with 0 on the right, or cut to their first positions.

    Args:
        batch: columns; ragged ones as ``<name>__values`` and ``<name>__offsets``.
        padding_lengths: length by column.

    Raises:
        ValueError: for a ragged column without a length.
    """
    padded = {}
    for name, x in batch.items():
        if name.endswith(_VALUES):
            continue
        if not name.endswith(_OFFSETS):
            padded[name] = _to_length(x, padding_lengths[name]) if name in padding_lengths else x
            continue
        column = name.removesuffix(_OFFSETS)
        if column not in padding_lengths:
            raise ValueError(
                f"ragged column {column!r} has no padding length: give it one in padding_lengths"
            )
        ragged = Ragged(_flat(batch[column + _VALUES]), _flat(x))
        padded[column] = _to_length(ragged.padded(), padding_lengths[column])
    return padded


def pad_inputs(inputs: dict[str, Tensor], max_sequence_length: int | None = None) -> dict[str, Tensor]:
    """All ragged columns as matrices of the longest row of them all; matrices stay as they are.

    Args:
        inputs: columns; ragged ones as ``<name>__values`` and ``<name>__offsets``.
        max_sequence_length: at most so many positions.
    """
    ragged = {name.removesuffix(_OFFSETS): _flat(x) for name, x in inputs.items() if name.endswith(_OFFSETS)}
    longest = max((int(offsets.diff().max()) for offsets in ragged.values()), default=0)
    if max_sequence_length is not None:
        longest = min(longest, max_sequence_length)
    return pad_batch(inputs, dict.fromkeys(ragged, longest)) if longest > 0 else inputs
