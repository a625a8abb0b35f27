"""Generated data sets to try things on."""

from merlin_migrate.packages import submodules

__getattr__ = submodules(__name__)
