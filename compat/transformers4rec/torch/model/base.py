"""Tasks, heads and the model, under their module's name."""

from transformers4rec._legacy import also, elsewhere
from transformers4rec.torch.block.base import BlockBase, BlockOrModule, BlockType
from transformers4rec.torch.features.base import InputBlock
from transformers4rec.torch.model._head import Head
from transformers4rec.torch.model._model import Model
from transformers4rec.torch.model._task import PredictionTask, name_fn
from transformers4rec.torch.utils.torch_utils import LossMixin, MetricsMixin

__all__ = [
    "BlockBase",
    "BlockOrModule",
    "BlockType",
    "Head",
    "InputBlock",
    "LossMixin",
    "MetricsMixin",
    "Model",
    "PredictionTask",
    "name_fn",
]

_HOMES = {"merlin_standard_lib": "Schema"}
__all__ += also(__name__, _HOMES)
__getattr__ = elsewhere(__name__, _HOMES)
