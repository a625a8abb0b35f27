"""``merlin.io`` where merlin-core is not installed."""

from merlin.core._absent import only
from merlin.io.dataset import MERLIN_METADATA_DIR_NAME, Dataset

__getattr__ = only(__name__)
__all__ = ["MERLIN_METADATA_DIR_NAME", "Dataset"]
