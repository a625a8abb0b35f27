"""``merlin.models.torch.inputs.select``: columns taken out of what comes in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from merlin.models._legacy import legacy
from merlin.models.torch import schema as of
from merlin.models.torch.batch import Batch
from merlin.schema import ColumnSchema, Schema, Tags
from torch import Tensor, nn

_ENDS = ("__values", "__offsets")


@legacy
class SelectKeys(nn.Module, of.Selectable, of.LazySchemaModuleMixin):
    """Only the columns of a schema that are there.

    Args:
        schema: a column or several.
    """

    input_schema: Any
    output_schema: Any

    def __init__(self, schema: Any = None) -> None:
        super().__init__()
        self.schema = Schema()
        self.column_names: list[str] = []
        if isinstance(schema, ColumnSchema):
            schema = Schema([schema])
        if schema:
            self.initialize_from_schema(schema)
            self._initialized_from_schema = True

    def initialize_from_schema(self, schema: Any) -> None:
        """Sets the columns."""
        self.schema, self.column_names = schema, schema.column_names
        self.input_schema = self.output_schema = schema

    def select(self, selection: Any) -> Any:
        """The same for some of the columns."""
        return SelectKeys(of.select(self.schema, selection))

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The columns by name, lists in two tensors; those that are missing are left out."""
        return {key: value for key, value in inputs.items() if _column_of(key) in self.column_names}

    def extra_repr(self) -> str:
        """The columns."""
        return ", ".join(self.column_names)

    def __bool__(self) -> bool:
        return bool(self.column_names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SelectKeys) and set(self.column_names) == set(other.column_names)

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.column_names)))


def _column_of(key: str) -> str:
    for end in _ENDS:
        key = key.removesuffix(end)
    return key


@legacy
class SelectFeatures(nn.Module, of.LazySchemaModuleMixin):
    """Columns of the batch instead of what comes in.

    Args:
        schema: the columns.
    """

    input_schema: Any
    output_schema: Any

    def __init__(self, schema: Any = None) -> None:
        super().__init__()
        self.select_keys = SelectKeys(schema)
        self.embedding_names: list[str] = []
        if schema:
            self.initialize_from_schema(schema)

    def initialize_from_schema(self, schema: Any) -> None:
        """Sets the columns."""
        super().initialize_from_schema(schema)
        self.select_keys.initialize_from_schema(schema)
        self.embedding_names = schema.select_by_tag(Tags.EMBEDDING).column_names
        self.input_schema, self.output_schema = Schema(), schema

    def select(self, selection: Any) -> Any:
        """The same for some of the columns."""
        return SelectFeatures(self.select_keys.select(selection).schema)

    def compute_feature_schema(self, feature_schema: Any) -> Any:
        """The columns of a batch that this reads."""
        return feature_schema.select_by_name(self.select_keys.column_names)

    def forward(self, inputs: Any, batch: Batch) -> dict[str, Tensor]:
        """The columns by name; vectors called ``a_embedding`` as ``a``."""
        found = self.select_keys(batch.features)
        return {
            key.replace("_embedding", "")
            if key in self.embedding_names and key.endswith("_embedding")
            else key: value
            for key, value in found.items()
        }


@of.extract.register(SelectKeys)
def _without(main: Any, selection: Any, route: Any, name: str | None = None) -> Any:
    return SelectKeys(of.input_schema(main).excluding_by_name(of.input_schema(route).column_names))


__all__ = ["SelectFeatures", "SelectKeys"]
