"""``merlin.models.torch.container`` of V2."""

from merlin.models._legacy import served

__getattr__ = served(__name__)
