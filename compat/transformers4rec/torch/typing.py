"""Types of what flows between blocks."""

from torch import Tensor

TabularData = dict[str, Tensor]
TensorOrTabularData = Tensor | TabularData

__all__ = ["TabularData", "TensorOrTabularData"]
