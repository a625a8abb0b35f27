"""``merlin.schema`` where merlin-core is not installed: the schema of ``merlin_models_torch``."""

from merlin_migrate.packages import submodules

from merlin_models_torch.schema import ColumnSchema, Schema, Tags, TagSet

TagsType = list[str] | list[Tags] | list[Tags | str] | tuple[Tags]

__all__ = ["ColumnSchema", "Schema", "TagSet", "Tags", "TagsType"]
__getattr__ = submodules(__name__)
