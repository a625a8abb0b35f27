"""From the columns of a batch to vectors."""

from merlin_models_torch.inputs.aggregation import Concat, ElementwiseSum, ElementwiseSumItemMulti, Stack
from merlin_models_torch.inputs.broadcast import BroadcastToSequence
from merlin_models_torch.inputs.combiner import AttentionPooling, ListCombiner
from merlin_models_torch.inputs.continuous import ContinuousProjection
from merlin_models_torch.inputs.fusion import LateFusion
from merlin_models_torch.inputs.hashed import HashedCross
from merlin_models_torch.inputs.mask_vector import MaskVector
from merlin_models_torch.inputs.noise import StochasticSwapNoise
from merlin_models_torch.inputs.onehot import MultiHot, OneHot
from merlin_models_torch.inputs.padding import PadSequences
from merlin_models_torch.inputs.per_feature import FeatureDropout, FeatureLayerNorm, L2Norm
from merlin_models_torch.inputs.pretrained import PretrainedEmbeddings
from merlin_models_torch.inputs.select import SelectFeatures
from merlin_models_torch.inputs.soft import SoftEmbedding
from merlin_models_torch.inputs.table import EmbeddingTable, inferred_dim
from merlin_models_torch.inputs.tables import EmbeddingTables
from merlin_models_torch.inputs.tabular import TabularInputBlock
from merlin_models_torch.inputs.vector_file import save_vectors
from merlin_models_torch.inputs.weighted import WeightedMean

__all__ = [
    "AttentionPooling",
    "BroadcastToSequence",
    "Concat",
    "ContinuousProjection",
    "ElementwiseSum",
    "ElementwiseSumItemMulti",
    "EmbeddingTable",
    "EmbeddingTables",
    "FeatureDropout",
    "FeatureLayerNorm",
    "HashedCross",
    "L2Norm",
    "LateFusion",
    "ListCombiner",
    "MaskVector",
    "MultiHot",
    "OneHot",
    "PadSequences",
    "PretrainedEmbeddings",
    "SelectFeatures",
    "SoftEmbedding",
    "Stack",
    "StochasticSwapNoise",
    "TabularInputBlock",
    "WeightedMean",
    "inferred_dim",
    "save_vectors",
]
