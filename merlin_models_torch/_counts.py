"""Arguments that count something, and lists of these or of names; anything else is refused by name."""

from __future__ import annotations

import operator
from typing import Any


def check_count(name: str, value: Any) -> None:
    """Refuses what is no whole number.

    Raises:
        TypeError: if so; True and False are none either.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        operator.index(value)
    except TypeError:
        plain = value is None or isinstance(value, (bool, float, str))
        given = repr(value) if plain else f"a {type(value).__name__}"
        raise TypeError(f"{name} is {given}, expected a whole number, such as 10") from None


def as_cut_offs(name: str, given: Any) -> tuple[int, ...]:
    """Numbers of answers to look at.

    Raises:
        TypeError: for one number instead of several, or what is no whole number.
        ValueError: if there is none, or one below 1.
    """
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise TypeError(f"{name} is {given!r}, expected several numbers of answers, such as (10,)")
    cuts = tuple(given)
    for cut in cuts:
        check_count(f"one of {name}", cut)
    if not cuts or min(cuts) < 1:
        raise ValueError(f"{name} is {cuts}, expected numbers of answers, each at least 1")
    return tuple(int(cut) for cut in cuts)


def as_names(name: str, given: Any) -> tuple[str, ...]:
    """Names, such as those of metrics.

    Raises:
        TypeError: for one name instead of several.
    """
    if isinstance(given, str):
        raise TypeError(f"{name} is {given!r}, expected several names, such as ({given!r},)")
    return tuple(given)
