"""What the loaders of real data say: they downloaded, or ran workflows of NVTabular."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from merlin.core._absent import MissingName
from merlin_migrate.warnings import unsupported


def refusing(module: str) -> Callable[[str], Any]:
    """A ``__getattr__`` for a module of which no name is here.

    Args:
        module: its dotted name.
    """

    def getattribute(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise MissingName(unsupported(f"{module}.{name}"))

    return getattribute
