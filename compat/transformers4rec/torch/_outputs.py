"""A model's outputs whose scores are made only when somebody reads them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, ItemsView, Iterator, ValuesView
from typing import Any

from torch import Tensor


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

    def before_steps(self, loss: Tensor, frozen: Callable[[], Callable[[], Any]]) -> None:
        """Keeps what the value is made of, if somebody still has it, before a step may change the weights.

        Args:
            loss: of the same batch; asking for its gradients comes before every step.
            frozen: makes the value with the weights as they are when this is called.
        """
        if loss.requires_grad:
            kept_by_others = weakref.ref(self)

            def freeze(gradient: Tensor) -> None:
                deferred = kept_by_others()
                if deferred is not None and deferred._make is not None:
                    deferred._make = frozen()

            loss.register_hook(freeze)


def kept(outputs: dict[str, Any]) -> dict[str, Any]:
    """Values as they are kept, deferred or not, also of a plain dictionary of a head of one's own."""
    return {name: outputs.raw(name) if isinstance(outputs, Outputs) else outputs[name] for name in outputs}


def outputs_of(values: dict[str, Any]) -> dict[str, Any]:
    """A plain dictionary if nothing in it is deferred."""
    return Outputs(values) if any(isinstance(value, Deferred) for value in values.values()) else values


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

    def setdefault(self, name: str, default: Any = None) -> Any:
        """The value, or the default, which is taken in then."""
        super().setdefault(name, default)
        return self[name]

    def pop(self, name: str, *default: Any) -> Any:
        """Takes a value out."""
        value = super().pop(name, *default)
        return value.value() if isinstance(value, Deferred) else value

    def popitem(self) -> tuple[str, Any]:
        """Takes the last name and its value out."""
        name = next(reversed(self))
        return name, self.pop(name)

    def __eq__(self, other: object) -> bool:
        return self._read() == other

    __hash__ = None  # type: ignore[assignment]

    def __or__(self, other: Any) -> Any:
        return self._read() | other

    def __repr__(self) -> str:
        return repr(self._read())

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
