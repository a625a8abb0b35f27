"""A whole model as JSON and safetensors, and back. Nothing is ever unpickled."""

from transformers4rec.torch.model._saved.files import load, save
from transformers4rec.torch.model._saved.names import SavedModelError

__all__ = ["SavedModelError", "load", "save"]
