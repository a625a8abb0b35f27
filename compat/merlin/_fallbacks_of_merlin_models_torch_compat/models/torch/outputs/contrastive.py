"""``merlin.models.torch.outputs.contrastive`` of V2."""

from merlin.models._legacy import served

__getattr__ = served(__name__, {"merlin_models_torch": "DotProduct"})
