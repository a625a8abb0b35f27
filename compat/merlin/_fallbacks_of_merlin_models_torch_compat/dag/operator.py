"""``merlin.dag.operator`` where merlin-core is not installed: what changes the columns of a batch."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from merlin.core._absent import only
from merlin.dag.selector import ColumnSelector
from merlin.schema import ColumnSchema, Schema

__getattr__ = only(__name__)


class Operator:
    """Base of the operators that a loader takes as ``transforms=[...]``.

    Subclasses define ``transform``, and ``compute_output_schema`` or ``column_mapping`` where they add,
    rename or leave out columns.
    """

    output_dtype: Any = None
    output_tags: Any = ()
    output_properties: Any = MappingProxyType({})
    dynamic_dtypes = False
    is_subgraph = False

    def compute_selector(
        self,
        input_schema: Schema,
        selector: ColumnSelector | None,
        parents_selector: ColumnSelector | None = None,
        dependencies_selector: ColumnSelector | None = None,
    ) -> ColumnSelector:
        """The columns of a schema that it works on, all by name."""
        selector = selector or ColumnSelector("*")
        resolved = selector.resolve(input_schema)
        if absent := [name for name in selector.names if name not in resolved.names]:
            raise ValueError(
                f"{self.label} works on the columns {absent}, the loader has {input_schema.column_names}: "
                "name columns that it reads"
            )
        return resolved

    def compute_input_schema(
        self, root_schema: Schema, parents_schema: Schema, deps_schema: Schema, selector: ColumnSelector
    ) -> Schema:
        """The columns that it reads: all that come to it."""
        return parents_schema + deps_schema

    def compute_output_schema(
        self, input_schema: Schema, col_selector: ColumnSelector, prev_output_schema: Schema | None = None
    ) -> Schema:
        """The columns that it gives: those of ``column_mapping``, each like the first that it is made of."""
        chosen = self.compute_selector(input_schema, col_selector or ColumnSelector("*"))
        return Schema(
            [
                self.compute_column_schema(name, input_schema.select_by_name(list(origins)))
                for name, origins in self.column_mapping(chosen).items()
            ]
        )

    def compute_column_schema(self, col_name: str, input_schema: Schema) -> ColumnSchema:
        """One of them."""
        origins = list(input_schema)
        column = origins[0].with_name(col_name) if origins else ColumnSchema(col_name)
        if self.output_dtype is not None:
            column = column.with_dtype(self.output_dtype)
        return column.with_tags(list(self.output_tags)).with_properties(dict(self.output_properties))

    def column_mapping(self, col_selector: ColumnSelector) -> dict[str, list[str]]:
        """Columns that it gives, to those that they are made of."""
        return {name: [name] for name in col_selector.names}

    def output_column_names(self, col_selector: ColumnSelector) -> ColumnSelector:
        """The columns that it gives."""
        return ColumnSelector(list(self.column_mapping(col_selector)))

    def validate_schemas(
        self,
        parents_schema: Schema,
        deps_schema: Schema,
        input_schema: Schema,
        output_schema: Schema,
        strict_dtypes: bool = False,
    ) -> None:
        """Raises where the schemas do not fit it; nothing is checked unless a subclass does."""

    def transform(self, col_selector: ColumnSelector, transformable: Any) -> Any:
        """The columns after it; unchanged unless a subclass changes them.

        Args:
            col_selector: what it works on.
            transformable: a ``TensorTable``.
        """
        return transformable

    @property
    def dependencies(self) -> list[Any]:
        """Columns that it needs beside those that come to it."""
        return []

    @property
    def label(self) -> str:
        """Its name."""
        return type(self).__name__

    def __rrshift__(self, other: Any) -> Any:
        from merlin.core._absent import missing

        raise missing("merlin.dag.Graph")
