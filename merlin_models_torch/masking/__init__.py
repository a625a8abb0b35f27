"""Which items are hidden and which are predicted: in training, evaluation and prediction."""

from merlin_models_torch.masking.causal import CausalMasking
from merlin_models_torch.masking.own import OwnMasking
from merlin_models_torch.masking.permuted import PermutedMasking
from merlin_models_torch.masking.plan import Attention, Masking, MaskPlan, Mode
from merlin_models_torch.masking.random import RandomMasking
from merlin_models_torch.masking.replaced import ReplacedMasking, draw_items
from merlin_models_torch.masking.sight import Sight

__all__ = [
    "Attention",
    "CausalMasking",
    "MaskPlan",
    "Masking",
    "Mode",
    "OwnMasking",
    "PermutedMasking",
    "RandomMasking",
    "ReplacedMasking",
    "Sight",
    "draw_items",
]
