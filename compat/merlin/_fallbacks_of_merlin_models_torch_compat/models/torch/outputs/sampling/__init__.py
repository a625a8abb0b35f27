"""``merlin.models.torch.outputs.sampling`` of V2."""

from merlin.models._legacy import served

__getattr__ = served(__name__)
