"""Schemas with the constructors of ``merlin_standard_lib``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from merlin.schema import Tags

from merlin_models_torch import schema as core
from merlin_models_torch.schema.files import from_json, from_pbtxt, to_json, to_pbtxt


def _counts(value_count: Any) -> dict[str, Any]:
    if value_count is None:
        return {}
    low, high = value_count if isinstance(value_count, tuple | list) else (value_count.min, value_count.max)
    return {"value_count": {"min": low, "max": high}}


def _with(properties: dict[str, Any], shape: Any, more: dict[str, Any]) -> dict[str, Any]:
    dims = {"dims": (None, *shape)} if shape else {}
    return {"properties": {**properties, **more.pop("properties", {})}, **dims, **more}


class ColumnSchema(core.ColumnSchema):
    """A column, with constructors for categorical and continuous ones."""

    @classmethod
    def create_categorical(
        cls,
        name: str,
        num_items: int,
        shape: Any = None,
        value_count: Any = None,
        min_index: int = 0,
        tags: Any = None,
        **kwargs: Any,
    ) -> core.ColumnSchema:
        """A column of ids.

        Args:
            name: of the column.
            num_items: the largest id.
            shape: of the values of a row.
            value_count: smallest and largest number of values of a row.
            min_index: the smallest id.
            tags: besides CATEGORICAL.
            **kwargs: of the column.
        """
        properties = {"domain": {"name": name, "min": min_index, "max": num_items}, **_counts(value_count)}
        tag_set = [*core.TagSet(tags), Tags.CATEGORICAL]
        return core.ColumnSchema(name, tags=tag_set, dtype="int64", **_with(properties, shape, kwargs))

    @classmethod
    def create_continuous(
        cls,
        name: str,
        is_float: bool = True,
        min_value: float | None = None,
        max_value: float | None = None,
        disallow_nan: bool = False,
        disallow_inf: bool = False,
        is_embedding: bool = False,
        shape: Any = None,
        value_count: Any = None,
        tags: Any = None,
        **kwargs: Any,
    ) -> core.ColumnSchema:
        """A column of numbers.

        Args:
            name: of the column.
            is_float: whether they are floating-point numbers.
            min_value: the smallest.
            max_value: the largest.
            disallow_nan: kept as a property.
            disallow_inf: kept as a property.
            is_embedding: kept as a property.
            shape: of the values of a row.
            value_count: smallest and largest number of values of a row.
            tags: besides CONTINUOUS.
            **kwargs: of the column.
        """
        flags = {"disallow_nan": disallow_nan, "disallow_inf": disallow_inf, "is_embedding": is_embedding}
        properties: dict[str, Any] = {flag: True for flag, value in flags.items() if value}
        if min_value is not None and max_value is not None:
            properties["domain"] = {"name": name, "min": min_value, "max": max_value}
        tag_set = [*core.TagSet(tags), Tags.CONTINUOUS]
        return core.ColumnSchema(
            name,
            tags=tag_set,
            dtype="float32" if is_float else "int64",
            **_with({**properties, **_counts(value_count)}, shape, kwargs),
        )


class Schema(core.Schema):
    """A schema that reads and writes the two kinds of files."""

    @classmethod
    def create(cls, column_schemas: Any = None, **kwargs: Any) -> Schema:
        """A schema of columns or names.

        Raises:
            TypeError: if it is neither a list nor a dict.
        """
        return cls(column_schemas)

    def from_json(self, value: str | bytes | os.PathLike[str]) -> Schema:
        """The schema in a ``schema.json``, given as its path or its text."""
        return Schema(list(from_json(_text(value))))

    def from_proto_text(self, path_or_proto_text: str | os.PathLike[str]) -> Schema:
        """The schema in a ``schema.pbtxt``, given as its path or its text."""
        return Schema(list(from_pbtxt(_text(path_or_proto_text))))

    def to_json(self) -> str:
        """The text of a ``schema.json``."""
        return to_json(self)

    def to_proto_text(self) -> str:
        """The text of a ``schema.pbtxt``."""
        return to_pbtxt(self)

    @property
    def feature(self) -> list[core.ColumnSchema]:
        """The columns."""
        return list(self)

    @property
    def item_id_column_name(self) -> str:
        """Name of the column tagged as item id.

        Raises:
            ValueError: if there is none.
        """
        names = self.select_by_tag(Tags.ITEM_ID).column_names
        if not names:
            raise ValueError(f"no column of {self.column_names} has the tag ITEM_ID: add it to the schema")
        return names[0]

    def select_by_name(self, to_select: Any) -> Schema:
        """The named columns, in the order they have here; or those whose name a function says yes to."""
        if callable(to_select):
            return self.filter_column_schemas(lambda column: to_select(column.name))
        names = {to_select} if isinstance(to_select, str) else set(to_select)
        return self.filter_column_schemas(lambda column: column.name in names)

    def remove_by_name(self, to_remove: str | Iterable[str]) -> Schema:
        """All columns but the named ones."""
        return Schema(list(self.excluding_by_name(to_remove)))

    def select_by_tag(self, to_select: Any, pred_fn: Any = None) -> Schema:
        """Columns that have all of the tags; of several in a list, each whole."""
        tags = core.TagSet(to_select)
        return self.filter_column_schemas(lambda column: all(tag in column.tags for tag in tags))

    def remove_by_tag(self, to_remove: Any, pred_fn: Any = None) -> Schema:
        """Columns that lack one of the tags."""
        tags = core.TagSet(to_remove)
        return self.filter_column_schemas(lambda column: not all(tag in column.tags for tag in tags))

    def filter_column_schemas(
        self, filter_fn: Callable[[core.ColumnSchema], bool], negate: bool = False
    ) -> Schema:
        """Columns that a function says yes to, or no with ``negate``."""
        return Schema([column for column in self if bool(filter_fn(column)) != negate])

    def map_column_schemas(self, map_fn: Callable[[core.ColumnSchema], core.ColumnSchema]) -> Schema:
        """A function's value of every column."""
        return Schema([map_fn(column) for column in self])

    def __add__(self, other: Any) -> Schema:
        columns = core.Schema(list(other)) if isinstance(other, list | tuple) else other
        return Schema(list(super().__add__(columns)))


def _text(path_or_text: Any) -> str:
    if isinstance(path_or_text, bytes):
        return path_or_text.decode()
    text = os.fspath(path_or_text)
    return Path(text).read_text(encoding="utf-8") if os.path.isfile(text) else text


def categorical_cardinalities(schema: Any) -> dict[str, int]:
    """Rows of an embedding table, the largest id plus 1, of each categorical column.

    Args:
        schema: one of ours, of merlin-core or of merlin_standard_lib.
    """
    return {
        column.name: int(column.int_domain.max) + 1
        for column in core.as_schema(schema)
        if Tags.CATEGORICAL in column.tags and column.int_domain and column.int_domain.max
    }
