"""The schema package beside Transformers4Rec 23.12.0, on ``merlin_models_torch.schema``."""

from typing import Any

from merlin.schema import Tags
from merlin_migrate.packages import submodules

from merlin_standard_lib.schema import schema
from merlin_standard_lib.schema.schema import ColumnSchema, Schema, categorical_cardinalities

Tag = Tags

__all__ = ["ColumnSchema", "Schema", "Tag", "Tags", "categorical_cardinalities", "schema"]


def __getattr__(name: str) -> Any:
    """Registry was here before 23.12."""
    if name != "Registry":
        return submodules(__name__)(name)
    from transformers4rec._registry import Registry

    return Registry
