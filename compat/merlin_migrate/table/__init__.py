"""The one table of legacy names, read by shims, warnings, codemods, guides and tests."""

from __future__ import annotations

from functools import cache

from merlin_migrate.table.entry import KINDS, Entry, Kind
from merlin_migrate.table.merlin import MERLIN
from merlin_migrate.table.transformers4rec import TRANSFORMERS4REC

__all__ = ["KINDS", "Entry", "Kind", "entries", "find", "nearest"]


def entries() -> tuple[Entry, ...]:
    """All entries, in the order of the guides."""
    return TRANSFORMERS4REC + MERLIN


@cache
def _by_name() -> dict[str, Entry]:
    return {name: entry for entry in entries() for name in (entry.name, *entry.also)}


def find(name: str) -> Entry | None:
    """The entry of a dotted legacy name, under any of the names it has."""
    return _by_name().get(name)


def nearest(name: str) -> Entry | None:
    """The entry of a dotted name or, failing that, of the class or module it belongs to."""
    while name:
        if entry := find(name):
            return entry
        name = name.rpartition(".")[0]
    return None
