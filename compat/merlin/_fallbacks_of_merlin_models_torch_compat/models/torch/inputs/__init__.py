"""``merlin.models.torch.inputs``."""

from merlin_migrate.packages import submodules

__getattr__ = submodules(__name__)
