from merlin_models_torch.outputs.base import ItemOutput, Output, ScoreOutput
from merlin_models_torch.outputs.binary import BinaryOutput
from merlin_models_torch.outputs.categorical import CategoricalOutput
from merlin_models_torch.outputs.classification import ClassificationOutput
from merlin_models_torch.outputs.contrastive import ContrastiveOutput
from merlin_models_torch.outputs.distinct import DistinctNegatives
from merlin_models_torch.outputs.losses import softmax_cross_entropy
from merlin_models_torch.outputs.negatives import (
    CachedNegatives,
    InBatchNegatives,
    MixedNegatives,
    Negatives,
    NegativeSampler,
    PopularityNegatives,
    UniformNegatives,
)
from merlin_models_torch.outputs.pairwise import (
    bce_loss,
    bpr_loss,
    bpr_max_loss,
    gbce_loss,
    hinge_loss,
    sampled_softmax_loss,
    top1_loss,
    top1_max_loss,
)
from merlin_models_torch.outputs.regression import RegressionOutput
from merlin_models_torch.outputs.tabular import TabularOutputBlock
from merlin_models_torch.outputs.two_tower import TwoTowerOutput

__all__ = [
    "BinaryOutput",
    "CachedNegatives",
    "CategoricalOutput",
    "ClassificationOutput",
    "ContrastiveOutput",
    "DistinctNegatives",
    "InBatchNegatives",
    "ItemOutput",
    "MixedNegatives",
    "NegativeSampler",
    "Negatives",
    "Output",
    "PopularityNegatives",
    "RegressionOutput",
    "ScoreOutput",
    "TabularOutputBlock",
    "TwoTowerOutput",
    "UniformNegatives",
    "bce_loss",
    "bpr_loss",
    "bpr_max_loss",
    "gbce_loss",
    "hinge_loss",
    "sampled_softmax_loss",
    "softmax_cross_entropy",
    "top1_loss",
    "top1_max_loss",
]
