"""Schemas of other libraries as ours, without importing those libraries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

from merlin_models_torch.schema.codec import features_to_schema
from merlin_models_torch.schema.column import ColumnSchema
from merlin_models_torch.schema.schema import Schema
from merlin_models_torch.schema.tags import Tag


def as_schema(schema: Any) -> Schema:
    """Any schema as ours.

    Args:
        schema: ours (returned as it is); one of merlin-core; one of merlin_standard_lib; a list or dict of
            columns of these; the content of a ``schema.json``; the path of a schema file.

    Raises:
        TypeError: if it is none of these.
        SchemaError: if it describes no schema.

    Example:
        >>> as_schema(["user_id", "price"]).column_names
        ['user_id', 'price']
    """
    if isinstance(schema, Schema):
        return schema
    if isinstance(schema, (str, PathLike)):
        return Schema.load(schema)
    if isinstance(schema, Mapping) and "feature" in schema:
        return features_to_schema(schema)
    columns = getattr(schema, "column_schemas", schema)
    if isinstance(columns, Mapping):
        columns = columns.values()
    if not isinstance(columns, Iterable):
        raise TypeError(
            f"a schema is needed (of merlin_models_torch, merlin.schema or merlin_standard_lib), not "
            f"{type(schema).__name__}"
        )
    return Schema([as_column(column) for column in columns])


def as_column(column: Any) -> ColumnSchema:
    """Any column as ours: a name, ours, one of merlin-core or of merlin_standard_lib.

    Raises:
        TypeError: if it is none of these.

    Example:
        >>> as_column("price").name
        'price'
    """
    if isinstance(column, ColumnSchema):
        return column
    if isinstance(column, str):
        return ColumnSchema(column)
    if not hasattr(column, "name") or not hasattr(column, "tags"):
        raise TypeError(
            "a column is a name or a ColumnSchema (of merlin_models_torch, merlin.schema or "
            f"merlin_standard_lib), not {type(column).__name__} {column!r}"
        )
    if hasattr(column, "annotation"):
        return features_to_schema({"feature": [_feature(column)]}).first
    shape = getattr(column, "shape", None)
    properties = dict(column.properties or {})
    dims = getattr(shape, "as_tuple", None)
    return ColumnSchema(
        column.name,
        _tags(column.tags),
        properties,
        column.dtype,
        is_list=None if dims else column.is_list,
        is_ragged=None if dims else column.is_ragged,
        dims=dims,
    )


def _tags(tags: Iterable[Any]) -> list[Tag]:
    """By value: the tags of another library are of another class."""
    return [getattr(tag, "value", tag) for tag in tags]


def _feature(column: Any) -> dict[str, Any]:
    """A message of merlin_standard_lib as JSON values; its own to_json fails once it has properties."""
    feature: dict[str, Any] = {"name": column.name, "type": int(column.type)}
    for part, names in {
        "value_count": ("min", "max"),
        "int_domain": ("name", "min", "max", "is_categorical"),
        "float_domain": ("name", "min", "max"),
    }.items():
        message = getattr(column, part)
        values = {name: getattr(message, name) for name in names}
        written = {name: value for name, value in values.items() if value}
        if written:
            feature[part] = written
    feature["shape"] = {"dim": [{"size": dim.size} for dim in column.shape.dim]}
    feature["annotation"] = {
        "tag": list(column.annotation.tag),
        "extra_metadata": [dict(column.properties)] if column.properties else [],
    }
    return feature
