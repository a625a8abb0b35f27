"""Training by Lightning, optimisers, saving and loading."""

from merlin_models_torch.training.model import Model
from merlin_models_torch.training.optim import OptimizerConfig
from merlin_models_torch.training.sample import sample_batch
from merlin_models_torch.training.saving import SavedModelError, load, save
from merlin_models_torch.training.schedule import ScheduleConfig
from merlin_models_torch.training.split import SplitOptimizer
from merlin_models_torch.training.step import Step

__all__ = [
    "Model",
    "OptimizerConfig",
    "SavedModelError",
    "ScheduleConfig",
    "SplitOptimizer",
    "Step",
    "load",
    "sample_batch",
    "save",
]
