"""Modules of packages, loaded when a program first asks the package for one."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def submodules(package: str) -> Callable[[str], ModuleType]:
    """A ``__getattr__`` for a package that lets programs write ``package.module`` without importing it.

    The packages of 23.12.0 import most of their modules themselves, so programs do that.

    Args:
        package: its dotted name.
    """

    def getattribute(name: str) -> ModuleType:
        if name.startswith("_") or find_spec(f"{package}.{name}") is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return import_module(f"{package}.{name}")

    return getattribute
