"""Parts of schemas, under their old module path."""

from merlin_migrate.packages import submodules

__getattr__ = submodules(__name__)
