"""What the table says of one legacy name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["alias", "adapter", "argument renamed", "behaviour differs", "manual", "unsupported"]

KINDS: dict[Kind, str] = {
    "alias": "the same thing under its new name",
    "adapter": "one legacy expression, one new expression; arguments differ",
    "argument renamed": "the same thing, an argument has a new name",
    "behaviour differs": "a successor that does something else by default; the old behaviour is an option",
    "manual": "the drop-in runs it; the way to the new API, where there is one, needs a hand",
    "unsupported": "the drop-in of this version does not have it",
}

GUIDES = "migration_guides"


@dataclass(frozen=True)
class Entry:
    """One legacy name and where it went.

    Args:
        name: dotted name, as programs write it most.
        kind: how it relates to its replacement, one of :data:`KINDS`.
        replacement: expression or name in the new API, ``""`` where there is none.
        guide: page and anchor below ``migration_guides``.
        note: what else to know, one sentence without a full stop at its end.
        also: other dotted names of the same object.
        arguments: legacy argument to what became of it, in words or as an expression of the new API.
        since: version of the compat distribution that deprecates the name.
        removed: version that no longer has it.
    """

    name: str
    kind: Kind
    replacement: str
    guide: str
    note: str = ""
    also: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    since: str = "0.1.0"
    removed: str = "1.0.0"

    @property
    def link(self) -> str:
        """Where to read on: file and anchor from the root of the project."""
        return f"{GUIDES}/{self.guide}"

    @property
    def details(self) -> str:
        """What to do, as one or two sentences: replacement, note, guide."""
        parts = []
        if self.replacement:
            parts.append(f"Use {self.replacement} instead")
        if self.note:
            parts.append(self.note)
        parts.append(f"See {self.link}")
        return ". ".join(parts)
