"""Names for classes, as users of Transformers4Rec write and register them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any


def camelcase_to_snakecase(name: str) -> str:
    """``NDCGAt`` becomes ``ndcg_at``."""
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()


class Registry:
    """Classes or functions by name.

    Args:
        registry_name: named in errors.
        instantiate: whether looking a name up makes an instance.
    """

    def __init__(self, registry_name: str, *, instantiate: bool = False) -> None:
        self.name = registry_name
        self._instantiate = instantiate
        self._registry: dict[str, Callable[..., Any]] = {}

    @classmethod
    def class_registry(cls, registry_name: str) -> Registry:
        """A registry whose names stand for new instances."""
        return cls(registry_name, instantiate=True)

    def register(self, key_or_value: Any = None) -> Any:
        """As decorator: with a name, several in a tuple, or none for the class name in snake case."""
        if callable(key_or_value):
            self[None] = key_or_value
            return key_or_value

        def decorate(value: Callable[..., Any]) -> Callable[..., Any]:
            self[key_or_value] = value
            return value

        return decorate

    def register_with_multiple_names(self, *names: str) -> Any:
        """As decorator: all these names stand for the class."""
        return self.register(names)

    def __setitem__(self, key: str | tuple[str, ...] | None, value: Callable[..., Any]) -> None:
        if not callable(value):
            raise ValueError(f"registry {self.name!r} takes classes and functions, got {value!r}")
        names = key if isinstance(key, tuple) else (key or camelcase_to_snakecase(value.__name__),)
        for name in names:
            if name in self._registry:
                raise KeyError(f"{name!r} is already in registry {self.name!r}: register under another name")
            self._registry[name] = value

    def __getitem__(self, key: str) -> Any:
        if key not in self._registry:
            raise KeyError(f"{key!r} is not in registry {self.name!r}: write one of {sorted(self._registry)}")
        value = self._registry[key]
        return value() if self._instantiate else value

    def parse(self, class_or_str: Any) -> Any:
        """What a name stands for; anything but a string is returned as it is."""
        return self[class_or_str] if isinstance(class_or_str, str) else class_or_str

    def get(self, key: str, default: Any = None) -> Any:
        """What a name stands for, or the default."""
        try:
            return self[key]
        except KeyError:
            return default

    def keys(self) -> Any:
        """The registered names."""
        return self._registry.keys()

    def values(self) -> Any:
        """What the names stand for."""
        return (self[key] for key in self)

    def items(self) -> Any:
        """Names and what they stand for."""
        return ((key, self[key]) for key in self)

    def __contains__(self, key: object) -> bool:
        return key in self._registry

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry)

    def __len__(self) -> int:
        return len(self._registry)
