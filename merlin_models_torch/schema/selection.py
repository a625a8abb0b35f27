"""Which columns are meant: by name, tag, test, schema, or several of these."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from merlin_models_torch.schema.column import ColumnSchema
from merlin_models_torch.schema.errors import SchemaError, UnknownColumnError
from merlin_models_torch.schema.tags import Tags, TagSet, parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from merlin_models_torch.schema.schema import Schema

Selection: TypeAlias = (
    "str | Tags | TagSet | ColumnSchema | Callable[[ColumnSchema], bool] | Schema | Iterable[Any]"
)
"""A column name, ``"*"`` for all, a tag, a test of one column, a schema, or several of these."""


def selected(schema: Schema, selection: Any) -> set[str]:
    """Names of the columns of a schema that a selection means.

    Args:
        schema: to select from.
        selection: a name, ``"*"``, one of :class:`Tags` (a compound one means all of its parts), a
            :class:`TagSet` (all of them), a function of a :class:`ColumnSchema`, a schema, a ColumnSelector
            of merlin-core, or several of these.

    Returns:
        Names, none if nothing fits. An unknown name is an error, a tag that no column has is not.

    Raises:
        SchemaError: if a name is unknown.
        TypeError: if the selection is of no known kind.
    """
    if isinstance(selection, Enum):
        wanted = parts(selection)
        return {column.name for column in schema if all(part in column.tags for part in wanted)}
    if isinstance(selection, str):
        return set(schema.column_names) if selection == "*" else {_known(schema, selection)}
    if isinstance(selection, ColumnSchema):
        return {_known(schema, selection.name)}
    if hasattr(selection, "column_names"):
        return {_known(schema, name) for name in selection.column_names}
    if hasattr(selection, "names") and hasattr(selection, "tags"):
        return _by_selector(schema, selection)
    if isinstance(selection, TagSet):
        return {column.name for column in schema if all(tag in column.tags for tag in selection)}
    if callable(selection):
        return {column.name for column in schema if selection(column)}
    if isinstance(selection, Iterable):
        return {name for one in selection for name in selected(schema, one)}
    raise TypeError(
        f"columns are selected by a name, '*', a tag, a function of a column, a schema or a list of these, "
        f"not by {type(selection).__name__} {selection!r}"
    )


def missing(schema: Schema, name: object) -> UnknownColumnError:
    """The error that a schema has no such column."""
    hint = ""
    if isinstance(name, str) and name.lower() in {tag.value for tag in Tags}:
        hint = f" (for the tag, write Tags.{name.upper()})"
    return UnknownColumnError(
        f"there is no column {name!r} in the schema, only {schema.column_names}: "
        f"check the name{hint}, or add it to the schema"
    )


def first_of(schema: Schema) -> ColumnSchema:
    """The first column.

    Raises:
        SchemaError: if there is none.
    """
    for column in schema:
        return column
    raise SchemaError(
        "there are no columns in this schema to take the first of: check the selection before it"
    )


def _known(schema: Schema, name: str) -> str:
    if name not in schema.column_schemas:
        raise missing(schema, name)
    return name


def _by_selector(schema: Schema, selector: Any) -> set[str]:
    """What a ColumnSelector of merlin-core means; names that are not there are passed over, as it does."""
    if getattr(selector, "all", False):
        return set(schema.column_names)
    found = set(schema.select_by_name(list(selector.names or [])).column_names)
    return found | set(schema.select_by_tag(list(selector.tags or [])).column_names)
