"""``merlin.table`` where merlin-core is not installed: the columns of a batch as operators see them."""

from merlin.core._absent import only
from merlin.table.tensor_column import Device, NumpyColumn, TensorColumn, TorchColumn
from merlin.table.tensor_table import TensorTable

__getattr__ = only(__name__)
__all__ = ["Device", "NumpyColumn", "TensorColumn", "TensorTable", "TorchColumn"]
