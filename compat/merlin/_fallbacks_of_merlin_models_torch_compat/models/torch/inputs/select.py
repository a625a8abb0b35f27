"""``merlin.models.torch.inputs.select``: columns taken out of what comes in."""

from __future__ import annotations

from typing import Any

from merlin.models._legacy import legacy
from merlin.models.torch._columns import named_columns

from merlin_models_torch import blocks
from merlin_models_torch import inputs as core
from merlin_models_torch.batch import Batch
from merlin_models_torch.schema import ColumnSchema, Schema, as_schema


def _columns(schema: Any) -> Schema:
    if schema is None:
        return Schema()
    return Schema([schema]) if isinstance(schema, ColumnSchema) else as_schema(schema)


@legacy
class SelectKeys(blocks.SelectKeys):
    """Only the columns of a schema that are there.

    Args:
        schema: a column or several.
    """

    def __init__(self, schema: Any = None) -> None:
        super().__init__(_columns(schema))

    def initialize_from_schema(self, schema: Any) -> None:
        """Sets the columns."""
        self.schema = as_schema(schema)

    @property
    def column_names(self) -> list[str]:
        """Their names."""
        return self.schema.column_names

    def forward(self, inputs: Any) -> Any:
        """The columns by name; those that are missing are left out, as in 23.12."""
        columns = named_columns(inputs)
        features = columns.features if isinstance(columns, Batch) else columns
        return {name: features[name] for name in features if name in self.schema.column_names}


@legacy
class SelectFeatures(core.SelectFeatures):
    """Columns of the batch beside what comes in.

    Args:
        schema: the columns.
    """

    def __init__(self, schema: Any = None) -> None:
        super().__init__(_columns(schema))


__all__ = ["SelectFeatures", "SelectKeys"]
