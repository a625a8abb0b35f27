"""``merlin.models.torch.functional`` of V2."""

from merlin.models._legacy import served

__getattr__ = served(__name__, {"merlin_models_torch": "map walk"})
