"""``merlin.models.torch.utils.torchscript_utils`` of V2."""

from merlin.models._legacy import served

__getattr__ = served(__name__)
