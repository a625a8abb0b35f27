"""Parts of models by the columns they belong to, and the columns that a module takes, gives and predicts."""

from merlin_models_torch.selection.columns import feature_schema, input_schema, target_schema
from merlin_models_torch.selection.part import ModelPart, extract, select
from merlin_models_torch.selection.trace import output_schema

__all__ = [
    "ModelPart",
    "extract",
    "feature_schema",
    "input_schema",
    "output_schema",
    "select",
    "target_schema",
]
