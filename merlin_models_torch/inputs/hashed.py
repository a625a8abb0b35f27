"""Combinations of ids as new ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from merlin_models_torch._counts import as_names, check_count
from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.serialize import serializable

# Constants of splitmix64 (Steele, Lea and Flood 2014) as signed numbers.
_STEP = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)


@serializable
class HashedCross(nn.Module):
    """The combination of the ids of several columns, hashed to a bin that serves as id.

    The hash is splitmix64's finaliser over one column after the other: the same on every machine and in
    every version. Different combinations meet in a bin by chance, one pair in ``bins``.

    Args:
        columns: names, in the order that counts.
        bins: ids 1 to ``bins``; 0 where one of the columns is padding.
        seed: another hash function for each.

    Raises:
        ValueError: for fewer than two columns or less than one bin.
        TypeError: for one name instead of several, or bins that are no whole number.

    Example:
        >>> cross = HashedCross(["country", "device"], bins=1000)
        >>> ids = cross({"country": torch.tensor([1, 1, 0]), "device": torch.tensor([2, 2, 2])})
        >>> bool(ids[0] == ids[1]), int(ids[2])
        (True, 0)
    """

    def __init__(self, columns: Sequence[str], *, bins: int, seed: int = 0) -> None:
        super().__init__()
        columns = as_names("columns", columns)
        check_count("bins", bins)
        if len(set(columns)) < 2 or len(set(columns)) < len(columns):
            raise ValueError(f"columns is {list(columns)}, expected at least two different names")
        if bins < 1:
            raise ValueError(f"bins is {bins}, expected at least 1")
        self.columns = list(columns)
        self.bins = bins
        self.seed = seed

    @property
    def cardinality(self) -> int:
        """Number of ids, padding included."""
        return self.bins + 1

    def forward(self, inputs: Batch | Mapping[str, Column]) -> Tensor:
        """Hashes combinations.

        Args:
            inputs: the columns by name, (B,) or (B, T) int64; (B,) ones go with every position of the others.

        Returns:
            (B,) or (B, T) int64, from 0 to ``bins``.

        Raises:
            KeyError: if a column is missing.
            TypeError: if one is ragged.
        """
        features = inputs.features if isinstance(inputs, Batch) else inputs
        ids = []
        for name in self.columns:
            if name not in features:
                raise KeyError(f"the inputs have no {name!r} to cross, only {sorted(features)}: add it")
            column = features[name]
            if isinstance(column, Ragged):
                raise TypeError(f"column {name!r} to cross is ragged: pad it before")
            ids.append(column.long())
        deepest = max(column.dim() for column in ids)
        ids = [column.view(*column.shape, *(1,) * (deepest - column.dim())) for column in ids]
        state = _mixed(torch.full_like(ids[0], self.seed) + _STEP)
        for column in ids:
            state = _mixed((state ^ column) + _STEP)
        used = torch.ones_like(state, dtype=torch.bool)
        for column in ids:
            used = used & (column != 0)
        return torch.where(used, state.remainder(self.bins) + 1, 0)


def _mixed(state: Tensor) -> Tensor:
    """The finaliser; products wrap around at 64 bits."""
    state = (state ^ _shifted(state, 30)) * _FIRST
    state = (state ^ _shifted(state, 27)) * _SECOND
    return state ^ _shifted(state, 31)


def _shifted(state: Tensor, bits: int) -> Tensor:
    """To the right, with zeros coming in, as for unsigned numbers."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)
