"""``merlin.models.torch.utils``, of V1 and V2."""

from merlin_migrate.packages import submodules

__getattr__ = submodules(__name__)
