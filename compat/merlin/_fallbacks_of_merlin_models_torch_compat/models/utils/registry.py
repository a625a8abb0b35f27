"""``merlin.models.utils.registry``: classes and functions by name."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers4rec._registry import Registry, camelcase_to_snakecase


class RegistryMixin:
    """A class that finds others by the names they were registered under."""

    registry: ClassVar[Registry]

    @classmethod
    def parse(cls, class_or_str: Any) -> Any:
        """What a name stands for; anything but a string as it is."""
        return cls.registry.parse(class_or_str)


__all__ = ["Registry", "RegistryMixin", "camelcase_to_snakecase"]
