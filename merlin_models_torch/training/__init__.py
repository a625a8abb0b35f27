"""Training by Lightning, optimisers, saving and loading."""

from merlin_models_torch.training.model import Model
from merlin_models_torch.training.optim import OptimizerConfig
from merlin_models_torch.training.sample import sample_batch
from merlin_models_torch.training.saving import SavedModelError, load, save

__all__ = ["Model", "OptimizerConfig", "SavedModelError", "load", "sample_batch", "save"]
