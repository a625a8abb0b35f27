"""``merlin.models.torch.outputs.sampling``: negatives."""

from merlin.models.torch.outputs.sampling.in_batch import InBatchNegativeSampler
from merlin.models.torch.outputs.sampling.popularity import PopularityBasedSampler

__all__ = ["InBatchNegativeSampler", "PopularityBasedSampler"]
