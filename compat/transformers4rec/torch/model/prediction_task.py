"""The tasks, under their module's name."""

from transformers4rec._legacy import also, elsewhere
from transformers4rec.torch.block.base import Block, BuildableBlock, SequentialBlock
from transformers4rec.torch.block.mlp import MLPBlock
from transformers4rec.torch.masking import MaskedLanguageModeling
from transformers4rec.torch.model._item_scores import NextItemPredictionPrepareBlock, _NextItemPredictionTask
from transformers4rec.torch.model._next_item import LOG, NextItemPredictionTask
from transformers4rec.torch.model._sampler import LogUniformSampler
from transformers4rec.torch.model._targets import (
    BinaryClassificationPrepareBlock,
    BinaryClassificationTask,
    RegressionPrepareBlock,
    RegressionTask,
)
from transformers4rec.torch.model.base import BlockType, PredictionTask
from transformers4rec.torch.ranking_metric import AvgPrecisionAt, NDCGAt, RecallAt
from transformers4rec.torch.utils.torch_utils import LambdaModule

__all__ = [
    "LOG",
    "AvgPrecisionAt",
    "BinaryClassificationPrepareBlock",
    "BinaryClassificationTask",
    "Block",
    "BlockType",
    "BuildableBlock",
    "LambdaModule",
    "LogUniformSampler",
    "MLPBlock",
    "MaskedLanguageModeling",
    "NDCGAt",
    "NextItemPredictionPrepareBlock",
    "NextItemPredictionTask",
    "PredictionTask",
    "RecallAt",
    "RegressionPrepareBlock",
    "RegressionTask",
    "SequentialBlock",
    "_NextItemPredictionTask",
]
__all__ += also(__name__, {})
__getattr__ = elsewhere(__name__, {})
