"""Warnings for legacy names: text and category from the table and ``deprecation``, at the user's own line."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

from deprecation import DeprecatedWarning, UnsupportedWarning
from packaging.version import Version

from merlin_migrate import __version__
from merlin_migrate.table import Entry, nearest

__all__ = [
    "DeprecatedWarning",
    "UnsupportedName",
    "UnsupportedWarning",
    "told_before",
    "unsupported",
    "warn_legacy",
    "warning_for",
]

_OURS = frozenset(
    {
        "transformers4rec",
        "merlin_standard_lib",
        "merlin",
        "merlin_migrate",
        "merlin_models_torch",
        "transformers",
        "accelerate",
        "lightning",
        "torch",
        "importlib",
        "deprecation",
    }
)
_shown: set[tuple[str, str, int]] = set()
# Modules of programs, and names of entries that they were told of under another name.
_told: set[tuple[str, str]] = set()


class UnsupportedName(NotImplementedError):
    """A legacy name that has no successor in this version."""


def _entry(name: str) -> Entry:
    entry = nearest(name)
    if entry is None:
        raise LookupError(f"the table of legacy names has no {name!r}: add it to merlin_migrate/table")
    return entry


def warning_for(name: str, *, version: str = __version__) -> DeprecatedWarning | None:
    """The warning that using a legacy name earns at a version of the compat distribution.

    Args:
        name: dotted legacy name.
        version: the version; this one if not given.

    Returns:
        An UnsupportedWarning from the version that removes the name on, a DeprecatedWarning from the one that
        deprecates it on, None before.

    Raises:
        LookupError: if the table does not have the name.
    """
    entry = _entry(name)
    if Version(version) >= Version(entry.removed):
        return UnsupportedWarning(name, entry.since, entry.removed, entry.details)
    if Version(version) >= Version(entry.since):
        return DeprecatedWarning(name, entry.since, entry.removed, entry.details)
    return None


def unsupported(name: str) -> UnsupportedName:
    """The error to raise for a legacy name without successor: reason, alternative and guide.

    Raises:
        LookupError: if the table does not have the name.
    """
    entry = _entry(name)
    return UnsupportedName(f"{name} is not in merlin-models-torch-compat {__version__}. {entry.details}.")


def _user_frame() -> FrameType | None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        generated = (
            frame.f_code.co_filename == "<string>" and frame.f_code.co_name == "__init__"
        )  # of a dataclass
        if not generated and frame.f_globals.get("__name__", "").partition(".")[0] not in _OURS:
            return frame
        frame = frame.f_back
    return None


def _matches(pattern: object, text: str) -> bool:
    if pattern is None:
        return True
    match = getattr(pattern, "match", None)
    return match(text) is not None if match else pattern == text


def _deciding_action(warning: Warning, module: str, line: int) -> str:
    """What the warnings filters do with a warning; "hidden" if only the interpreter's own filter ignores it.

    That filter, for deprecations outside ``__main__``, stands right after the one for ``__main__``; the same
    filter set by a user stands elsewhere.
    """
    before: tuple[object, ...] = ()
    for action, text, category, where, number in warnings.filters:
        if (
            issubclass(type(warning), category)
            and _matches(text, str(warning))
            and _matches(where, module)
            and number in (0, line)
        ):
            own = before[:1] == ("default",) and before[2] is DeprecationWarning and before[3] == "__main__"
            hidden = action == "ignore" and category is DeprecationWarning and where is None and own
            return "hidden" if hidden else action
        before = (action, text, category, where, number)
    return "default"


def _module_of(frame: FrameType | None) -> str:
    return str(frame.f_globals.get("__name__")) if frame is not None else ""


def told_before(name: str) -> bool:
    """Whether the user's module that led here was told of a legacy object when it took it by another name.

    Args:
        name: dotted legacy name, or one below it.
    """
    entry = nearest(name)
    return entry is not None and (_module_of(_user_frame()), entry.name) in _told


def warn_legacy(name: str, *, same_as: str | None = None) -> None:
    """Warns of a legacy name at the line of the user's program that led here, once per name and line.

    The warnings filters decide as ever; but where nobody set a filter, modules of the user see the warning
    too, not only ``__main__``, for the user has to act on it.

    Args:
        name: dotted legacy name, or one below it (a method).
        same_as: another legacy name of the same object, of which this module is then not told any more.

    Raises:
        LookupError: if the table does not have the name.
    """
    warning = warning_for(name)
    if warning is None:
        return
    frame = _user_frame()
    other = nearest(same_as) if same_as else None
    if other is not None:
        _told.add((_module_of(frame), other.name))
    if frame is None:
        warnings.warn(warning, stacklevel=2)
        return
    file, line = frame.f_code.co_filename, frame.f_lineno
    module = frame.f_globals.get("__name__") or "<unknown>"
    action = _deciding_action(warning, module, line)
    if action not in ("error", "always", "all"):
        # Python's own memory of what it has shown is lost whenever anyone changes the filters.
        if action == "ignore" or (name, file, line) in _shown:
            return
        _shown.add((name, file, line))
    if action == "hidden":
        with warnings.catch_warnings():
            warnings.simplefilter("always", DeprecatedWarning)
            warnings.warn_explicit(warning, type(warning), file, line, module)
    else:
        warnings.warn_explicit(warning, type(warning), file, line, module)
