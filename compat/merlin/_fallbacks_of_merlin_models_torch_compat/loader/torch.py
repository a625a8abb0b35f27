"""``merlin.loader.torch``, the former name of ``merlin.dataloader.torch``."""

from merlin.dataloader.torch import DLDataLoader, Loader

__all__ = ["DLDataLoader", "Loader"]
