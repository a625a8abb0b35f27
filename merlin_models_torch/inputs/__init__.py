"""From the columns of a batch to vectors."""

from merlin_models_torch.inputs.mask_vector import MaskVector
from merlin_models_torch.inputs.tabular import TabularInputBlock

__all__ = ["MaskVector", "TabularInputBlock"]
