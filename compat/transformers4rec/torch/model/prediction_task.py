"""The tasks, under their module's name."""

from transformers4rec._legacy import absent
from transformers4rec.torch.model._next_item import NextItemPredictionPrepareBlock, NextItemPredictionTask
from transformers4rec.torch.model._targets import (
    BinaryClassificationPrepareBlock,
    BinaryClassificationTask,
    RegressionPrepareBlock,
    RegressionTask,
)
from transformers4rec.torch.model.base import PredictionTask

__all__ = [
    "BinaryClassificationPrepareBlock",
    "BinaryClassificationTask",
    "NextItemPredictionPrepareBlock",
    "NextItemPredictionTask",
    "PredictionTask",
    "RegressionPrepareBlock",
    "RegressionTask",
]

__getattr__ = absent(__name__, "LogUniformSampler")
