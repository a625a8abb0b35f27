"""What a model answers, and the loss it learns from."""

from merlin_models_torch.outputs.categorical import CategoricalOutput
from merlin_models_torch.outputs.losses import softmax_cross_entropy

__all__ = ["CategoricalOutput", "softmax_cross_entropy"]
