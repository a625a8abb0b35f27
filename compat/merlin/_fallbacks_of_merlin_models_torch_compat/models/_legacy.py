"""How the legacy names of ``merlin.models`` are served: each tells the user's own line of its successor."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial, wraps
from importlib import import_module
from typing import Any

from merlin_migrate.table import find
from merlin_migrate.warnings import UnsupportedName, unsupported, warn_legacy

_OURS = frozenset({"merlin", "merlin_migrate", "merlin_models_torch", "transformers4rec", "importlib"})


class TensorFlowModels(UnsupportedName, ImportError):
    """Raised by ``import merlin.models.tf`` and by whatever is below it."""

    def __init__(self) -> None:
        super().__init__(
            f"{unsupported('merlin.models.tf')} `merlin-migrate rewrite` writes definitions of models in the "
            "new names and marks Keras training loops, `merlin-migrate names merlin.models.tf` lists them"
        )


def called_by_user(depth: int) -> bool:
    """Whether a frame is a program's, not this project's building its own parts."""
    return str(sys._getframe(depth).f_globals.get("__name__", "")).partition(".")[0] not in _OURS


def legacy(target: Any = None, *, home: str | None = None) -> Any:
    """Warns at the user's line when a class is instantiated or a function called by a program.

    Args:
        target: the class or function, as a decorator.
        home: module that programs know it from, where that is another.
    """
    if target is None:
        return partial(legacy, home=home)
    member = target
    if home is not None:
        member.__module__ = home
    name = f"{member.__module__}.{member.__qualname__}"
    if entry := find(name):
        name = entry.name
    if isinstance(member, type):
        member.__init__ = _warning(member.__init__, name)  # type: ignore[misc]
        return member
    return _warning(member, name)


def _warning(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if called_by_user(2):
            warn_legacy(name)
        return function(*args, **kwargs)

    return call


def served(module: str, homes: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """A ``__getattr__`` for a module whose names are other modules'.

    A name that is an object of the core or of the drop-in for Transformers4Rec warns when it is taken, not
    again when it is called; one of this package warns when it is called.

    Args:
        module: its dotted name.
        homes: dotted names of modules, to the names that come from there; ``old=new`` where they differ.
    """
    places = {
        old: (home, new or old)
        for home, names in (homes or {}).items()
        for old, _, new in (name.partition("=") for name in names.split())
    }

    def getattribute(name: str) -> Any:
        if name not in places:
            entry = find(f"{module}.{name}")
            if entry is not None and entry.kind == "unsupported":
                raise unsupported(f"{module}.{name}")
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, attribute = places[name]
        value = getattr(import_module(home), attribute)
        if not home.startswith("merlin."):
            warn_legacy(f"{module}.{name}", same_as=f"{home}.{attribute}")
        return value

    return getattribute
