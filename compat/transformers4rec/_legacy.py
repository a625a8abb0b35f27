"""Marks what a program calls by its legacy name, so that its own line is told of the successor."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial, wraps
from importlib import import_module
from types import FrameType
from typing import Any

from merlin_migrate.table import find
from merlin_migrate.warnings import told_before, unsupported, warn_legacy

from transformers4rec._imported import imported, value_of

_OURS = frozenset(
    {"transformers4rec", "merlin", "merlin_standard_lib", "merlin_migrate", "merlin_models_torch"}
)
_LIBRARIES = _OURS | {"transformers", "accelerate", "torch", "lightning"}
_told: set[str] = set()


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_generated(frame: FrameType) -> bool:
    """Whether the frame is the ``__init__`` of a dataclass, which no line of a file stands for."""
    return frame.f_code.co_filename == "<string>" and frame.f_code.co_name == "__init__"


def _called_by_user(depth: int) -> bool:
    """Whether the caller of the marked function is a program, not this package building its own parts."""
    return _root(sys._getframe(depth)) not in _OURS


def _warning(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _called_by_user(2) and not told_before(name):
            warn_legacy(name)
        return function(*args, **kwargs)

    return call


def legacy(target: Any = None, *, home: str | None = None) -> Any:
    """Warns at the user's line when a class is instantiated or a function is called by a user's program.

    Instances that this package makes for itself stay silent, so that a program is told of the names it wrote.

    Args:
        target: the class or function, as a decorator.
        home: module that 23.12.0 has it in, where that is another.
    """
    if target is None:
        return partial(legacy, home=home)
    if home is not None:
        target.__module__ = home
    name = f"{target.__module__}.{target.__qualname__}"
    if entry := find(name):
        name = entry.name
    if isinstance(target, type):
        target.__init__ = _warning(target.__init__, name)  # type: ignore[misc]
        return target
    return _warning(target, name)


def tell_once(name: str, text: str) -> None:
    """A warning about what a program does, shown once in a process, at the user's line.

    Args:
        name: what identifies the warning.
        text: what happens, and what to write to change it.
    """
    if name in _told:
        return
    _told.add(name)
    warn_user(text)


def warn_user(warning: Warning | str) -> None:
    """Warns at the innermost line that belongs neither to this project nor to the libraries below it."""
    frame, level = sys._getframe(0), 1
    while frame.f_back is not None and (_root(frame) in _LIBRARIES or _is_generated(frame)):
        frame, level = frame.f_back, level + 1
    warnings.warn(warning, stacklevel=level)


class Refused(ValueError, AssertionError):
    """What 23.12.0 refused by an assertion: programs catch it as that, or as a wrong value."""


class NotGiven(ValueError, TypeError):
    """What 23.12.0 failed for with a TypeError, where something was None."""


def elsewhere(module: str, homes: Mapping[str, str], *unsupported_names: str) -> Callable[[str], Any]:
    """A ``__getattr__`` for a module of whose names some are another module's; ``*`` brings them, too.

    Args:
        module: its dotted name.
        homes: dotted names of other modules, to names that programs import from this one too.
        *unsupported_names: names of 23.12.0 that it lacks; they raise reason and alternative.
    """
    home_of = {name: home for home, names in homes.items() for name in names.split()}
    missing = absent(module, *unsupported_names)
    beside = imported(module)

    def getattribute(name: str) -> Any:
        if name in home_of:
            return getattr(import_module(home_of[name]), name)
        if name == "__all__":
            own = (name for name in vars(sys.modules[module]) if not name.startswith("_"))
            return sorted({*own, *also(module, homes)})
        return value_of(module, name) if name in beside else missing(name)

    return getattribute


def also(module: str, homes: Mapping[str, str]) -> list[str]:
    """What ``*`` brings of a module that lists its own names in ``__all__``.

    Args:
        module: its dotted name.
        homes: as for :func:`elsewhere`.
    """
    return sorted({*" ".join(homes.values()).split(), *imported(module)})


def absent(module: str, *names: str) -> Callable[[str], Any]:
    """A ``__getattr__`` for a module that lacks some names of 23.12.0: they raise reason and alternative.

    Args:
        module: its dotted name.
        *names: what it lacks.
    """

    def getattribute(name: str) -> Any:
        if name in names:
            raise unsupported(f"{module}.{name}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return getattribute
