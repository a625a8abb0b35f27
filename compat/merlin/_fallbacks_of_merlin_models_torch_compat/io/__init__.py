"""``merlin.io`` where merlin-core is not installed."""

from merlin.core._absent import only
from merlin.io.dataset import MERLIN_METADATA_DIR_NAME, Dataset
from merlin.io.shuffle import Shuffle, shuffle_df

__getattr__ = only(__name__)
__all__ = ["MERLIN_METADATA_DIR_NAME", "Dataset", "Shuffle", "shuffle_df"]
