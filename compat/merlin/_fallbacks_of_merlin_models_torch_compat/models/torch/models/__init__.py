"""``merlin.models.torch.models``."""

from merlin_migrate.packages import submodules

__getattr__ = submodules(__name__)
