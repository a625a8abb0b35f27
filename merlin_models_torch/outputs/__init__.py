"""What a model answers, and the loss it learns from."""

from merlin_models_torch.outputs.base import ItemOutput, Output, ScoreOutput
from merlin_models_torch.outputs.binary import BinaryOutput
from merlin_models_torch.outputs.categorical import CategoricalOutput
from merlin_models_torch.outputs.classification import ClassificationOutput
from merlin_models_torch.outputs.losses import softmax_cross_entropy
from merlin_models_torch.outputs.regression import RegressionOutput
from merlin_models_torch.outputs.tabular import TabularOutputBlock

__all__ = [
    "BinaryOutput",
    "CategoricalOutput",
    "ClassificationOutput",
    "ItemOutput",
    "Output",
    "RegressionOutput",
    "ScoreOutput",
    "TabularOutputBlock",
    "softmax_cross_entropy",
]
