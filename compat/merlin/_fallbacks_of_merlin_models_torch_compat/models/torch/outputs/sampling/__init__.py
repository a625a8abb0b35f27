"""``merlin.models.torch.outputs.sampling``: negatives."""

from merlin.models.torch.outputs.sampling.in_batch import InBatchNegativeSampler
from merlin.models.torch.outputs.sampling.popularity import PopularityBasedSampler
from merlin_migrate.packages import submodules

__all__ = ["InBatchNegativeSampler", "PopularityBasedSampler"]

__getattr__ = submodules(__name__)
