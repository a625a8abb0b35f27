"""``merlin.dtypes`` where merlin-core is not installed: the types of a column's values."""

from merlin.core._absent import only
from merlin.dtypes import aliases
from merlin.dtypes.aliases import *  # noqa: F403

from merlin_models_torch.schema import Dimension, DType, Shape, dtype

__getattr__ = only(__name__)
__all__ = ["DType", "Dimension", "Shape", "aliases", "dtype", *aliases.__all__]
