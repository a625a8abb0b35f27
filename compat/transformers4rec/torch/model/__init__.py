"""Model, heads and prediction tasks."""

from merlin_migrate.packages import submodules

__getattr__ = submodules(__name__)
