"""``merlin.models.torch.transforms``."""

from merlin_migrate.packages import submodules

__getattr__ = submodules(__name__)
