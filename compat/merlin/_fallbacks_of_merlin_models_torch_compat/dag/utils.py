"""``merlin.dag.utils`` where merlin-core is not installed: list columns as one entry or as two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_VALUES, _OFFSETS = "__values", "__offsets"


def ungroup_values_offsets(grouped_cols: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of pairs as two entries, ``<name>__values`` and ``<name>__offsets``; others as they are."""
    flat: dict[str, Any] = {}
    for name, column in grouped_cols.items():
        if isinstance(column, tuple):
            flat[name + _VALUES], flat[name + _OFFSETS] = column
        else:
            flat[name] = column
    return flat


def group_values_offsets(flat_cols: Mapping[str, Any]) -> dict[str, Any]:
    """Entries ``<name>__values`` and ``<name>__offsets`` as one pair; others as they are."""
    grouped: dict[str, Any] = {}
    for name, column in flat_cols.items():
        stem = name.removesuffix(_VALUES)
        if stem != name:
            grouped[stem] = column, flat_cols[stem + _OFFSETS]
        elif not name.endswith(_OFFSETS):
            grouped[name] = column
    return grouped
