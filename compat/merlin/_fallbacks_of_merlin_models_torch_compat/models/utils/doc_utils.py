"""``merlin.models.utils.doc_utils``: docstrings with parts that several share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def docstring_parameter(*args: str, extra_padding: int | None = None, **kwargs: str) -> Callable[[Any], Any]:
    """A decorator that fills the places in braces of a docstring.

    Args:
        *args: for places by number.
        extra_padding: spaces before each further line of what is filled in.
        **kwargs: for places by name.
    """

    def padded(text: str) -> str:
        return text.replace("\n", "\n" + " " * (extra_padding or 0))

    def decorate(target: Any) -> Any:
        named = {name: padded(text) for name, text in kwargs.items()}
        target.__doc__ = target.__doc__.format(*map(padded, args), **named)
        return target

    return decorate
