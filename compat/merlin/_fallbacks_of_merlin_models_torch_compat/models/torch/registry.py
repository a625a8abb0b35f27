"""``merlin.models.torch.registry``: modules by name."""

from __future__ import annotations

from merlin.models.utils.registry import Registry, RegistryMixin

registry = Registry.class_registry("modules")


class TorchRegistryMixin(RegistryMixin):
    """A class that finds modules by the names they were registered under."""

    registry = registry


__all__ = ["Registry", "RegistryMixin", "TorchRegistryMixin", "registry"]
