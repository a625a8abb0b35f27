"""Tasks, heads and the model, under their module's name."""

from transformers4rec.torch.model._head import Head
from transformers4rec.torch.model._model import Model
from transformers4rec.torch.model._task import PredictionTask, name_fn

__all__ = ["Head", "Model", "PredictionTask", "name_fn"]
