"""Which items are hidden and which are predicted: in training, evaluation and prediction."""

from merlin_models_torch.masking.causal import CausalMasking
from merlin_models_torch.masking.plan import Masking, MaskPlan, Mode
from merlin_models_torch.masking.random import RandomMasking

__all__ = ["CausalMasking", "MaskPlan", "Masking", "Mode", "RandomMasking"]
