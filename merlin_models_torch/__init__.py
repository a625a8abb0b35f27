"""Session-based, retrieval and ranking models in PyTorch, built from blocks and trained by Lightning."""

from merlin_models_torch import data, metrics, retrieval
from merlin_models_torch.batch import Batch, Ragged
from merlin_models_torch.blocks import Block, MLPBlock, ParallelBlock, TransformerBlock, XLNetBlock
from merlin_models_torch.data import ParquetLoader, SessionDataModule, Vocabulary
from merlin_models_torch.inputs import MaskVector, TabularInputBlock
from merlin_models_torch.masking import CausalMasking, Masking, MaskPlan, RandomMasking
from merlin_models_torch.metrics import RankingMetrics
from merlin_models_torch.models import SessionModel
from merlin_models_torch.outputs import CategoricalOutput, softmax_cross_entropy
from merlin_models_torch.retrieval import topk_blockwise
from merlin_models_torch.schema import ColumnSchema, Schema, Tags
from merlin_models_torch.serialize import serializable
from merlin_models_torch.training import Model, OptimizerConfig, load

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Block",
    "CategoricalOutput",
    "CausalMasking",
    "ColumnSchema",
    "MLPBlock",
    "MaskPlan",
    "MaskVector",
    "Masking",
    "Model",
    "OptimizerConfig",
    "ParallelBlock",
    "ParquetLoader",
    "Ragged",
    "RandomMasking",
    "RankingMetrics",
    "Schema",
    "SessionDataModule",
    "SessionModel",
    "TabularInputBlock",
    "Tags",
    "TransformerBlock",
    "Vocabulary",
    "XLNetBlock",
    "data",
    "load",
    "metrics",
    "retrieval",
    "serializable",
    "softmax_cross_entropy",
    "topk_blockwise",
]
