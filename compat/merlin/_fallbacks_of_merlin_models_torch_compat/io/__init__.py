"""``merlin.io`` where merlin-core is not installed."""

from merlin.io.dataset import MERLIN_METADATA_DIR_NAME, Dataset

__all__ = ["MERLIN_METADATA_DIR_NAME", "Dataset"]
