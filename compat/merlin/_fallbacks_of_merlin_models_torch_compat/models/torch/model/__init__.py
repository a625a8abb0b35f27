"""``merlin.models.torch.model`` of V1."""

from merlin_migrate.packages import submodules

__getattr__ = submodules(__name__)
