"""Columns of a legacy batch, whose lists are two tensors, as columns of the core."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from merlin_models_torch.batch import Column, Ragged

_VALUES, _OFFSETS = "__values", "__offsets"


def named_columns(inputs: Any) -> Any:
    """``{"a__values": v, "a__offsets": o}`` becomes ``{"a": Ragged(v, o)}``; anything else stays."""
    if not isinstance(inputs, dict) or not any(name.endswith(_OFFSETS) for name in inputs):
        return inputs
    columns: dict[str, Column] = {}
    for name, value in inputs.items():
        whole = name.removesuffix(_VALUES)
        if name.endswith(_OFFSETS):
            continue
        offsets = inputs.get(whole + _OFFSETS) if whole != name else None
        columns[whole if offsets is not None else name] = value if offsets is None else Ragged(value, offsets)
    return columns


def legacy_columns(columns: Any) -> dict[str, Tensor]:
    """The other way round."""
    found: dict[str, Tensor] = {}
    for name, column in columns.items():
        if isinstance(column, Ragged):
            found[name + _VALUES], found[name + _OFFSETS] = column.values, column.offsets
        else:
            found[name] = column
    return found
