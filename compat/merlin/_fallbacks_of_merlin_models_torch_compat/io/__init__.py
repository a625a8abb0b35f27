"""``merlin.io`` where merlin-core is not installed."""

from merlin.io.dataset import Dataset

__all__ = ["Dataset"]
