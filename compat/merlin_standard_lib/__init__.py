"""The schema package beside Transformers4Rec 23.12.0, on ``merlin_models_torch.schema``."""

from merlin.schema import Tags

from merlin_standard_lib.schema import schema
from merlin_standard_lib.schema.schema import ColumnSchema, Schema, categorical_cardinalities

Tag = Tags

__all__ = ["ColumnSchema", "Schema", "Tag", "Tags", "categorical_cardinalities", "schema"]
