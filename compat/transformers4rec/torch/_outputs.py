"""A model's outputs whose scores are made only when somebody reads them."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, ValuesView
from typing import Any


class Deferred:
    """A value that is made at the first reading.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make: Callable[[], Any] | None = make
        self._value: Any = None

    def value(self) -> Any:
        """The value."""
        if self._make is not None:
            self._value, self._make = self._make(), None
        return self._value


def kept(outputs: dict[str, Any]) -> dict[str, Any]:
    """Values as they are kept, deferred or not, also of a plain dictionary of a head of one's own."""
    return {name: outputs.raw(name) if isinstance(outputs, Outputs) else outputs[name] for name in outputs}


class Outputs(dict[str, Any]):
    """A dictionary that gives the values of what is deferred in it.

    The loss of training needs no matrix of all scores, which is larger than everything else; programs find it
    under "predictions" as ever.
    """

    def raw(self, name: str) -> Any:
        """A value as it is kept, deferred or not, to pass it on."""
        return super().__getitem__(name)

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        return value.value() if isinstance(value, Deferred) else value

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or the default."""
        try:
            return self[name]
        except KeyError:
            return default

    def pop(self, name: str, *default: Any) -> Any:
        """Takes a value out."""
        value = super().pop(name, *default)
        return value.value() if isinstance(value, Deferred) else value

    def _read(self) -> dict[str, Any]:
        return {name: self[name] for name in self}

    def values(self) -> ValuesView[Any]:
        """All values."""
        return self._read().values()

    def items(self) -> ItemsView[str, Any]:
        """All names and values."""
        return self._read().items()

    def copy(self) -> dict[str, Any]:
        """A plain dictionary of all values."""
        return self._read()

    def __iter__(self) -> Iterator[str]:
        # Looks idle, but makes dict(outputs) and {**outputs} read by __getitem__, not copy what is kept.
        return super().__iter__()
