"""What a model answers, and the loss it learns from."""

from merlin_models_torch.outputs.base import ItemOutput, Output, ScoreOutput
from merlin_models_torch.outputs.binary import BinaryOutput
from merlin_models_torch.outputs.categorical import CategoricalOutput
from merlin_models_torch.outputs.losses import softmax_cross_entropy
from merlin_models_torch.outputs.regression import RegressionOutput

__all__ = [
    "BinaryOutput",
    "CategoricalOutput",
    "ItemOutput",
    "Output",
    "RegressionOutput",
    "ScoreOutput",
    "softmax_cross_entropy",
]
