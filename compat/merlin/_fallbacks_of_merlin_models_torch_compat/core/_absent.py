"""What ``merlin.core``, ``merlin.dag`` and ``merlin.table`` say of names that only the real packages have."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from merlin_migrate.table import find
from merlin_migrate.warnings import UnsupportedName, unsupported

HOW = "install merlin-core (Python below 3.12, pandas below 1.6), which then takes the place of this module"


class MissingName(UnsupportedName, ImportError):
    """A name of merlin-core that is not here; ``from ... import`` and ``getattr`` both end in it."""


def missing(name: str) -> MissingName:
    """The error for a dotted name: what the table says of it, and how to get the real one."""
    if find(name) is not None:
        return MissingName(f"{unsupported(name)} Or {HOW}.")
    return MissingName(f"{name} is not in merlin-models-torch-compat: {HOW}.")


def only(module: str, lazy: dict[str, str] | None = None) -> Callable[[str], Any]:
    """A ``__getattr__`` for a module that has some names of the real one.

    Args:
        module: its dotted name.
        lazy: names that are looked up when asked for, as ``"module:attribute"`` or a module.
    """
    places = lazy or {}

    def getattribute(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        if name not in places:
            raise missing(f"{module}.{name}")
        home, _, attribute = places[name].partition(":")
        found = import_module(home)
        return getattr(found, attribute) if attribute else found

    return getattribute
