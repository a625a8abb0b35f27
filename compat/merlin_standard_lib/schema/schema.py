"""Schemas with the constructors of ``merlin_standard_lib``."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from merlin.schema import Tags

from merlin_models_torch import schema as core
from merlin_standard_lib.proto import schema_bp
from merlin_standard_lib.proto._message import Message
from merlin_standard_lib.schema._column import ColumnSchema
from merlin_standard_lib.schema._columns import Columns
from merlin_standard_lib.schema._text import json_of, text_of

ColumnSchema.__module__ = __name__
ColumnSchemaOrStr = ColumnSchema | str
FilterT = TypeVar("FilterT")
ProtoMessageType = TypeVar("ProtoMessageType")


__all__ = [
    *schema_bp.__all__,
    "ColumnSchema",
    "ColumnSchemaOrStr",
    "Schema",
    "Tags",
    "categorical_cardinalities",
]


def __getattr__(name: str) -> Any:
    """The messages of a schema file are here too."""
    return getattr(schema_bp, name)


class Schema(Message, core.Schema):
    """A schema that reads and writes the two kinds of files.

    Args:
        feature: columns or names, or columns by name.
        column_schemas: the same, by the core's name of the argument.
    """

    _proto = "Schema"

    def __init__(self, feature: Any = None, *, column_schemas: Any = None) -> None:
        columns = column_schemas if feature is None else feature
        columns = columns.values() if isinstance(columns, Mapping) else columns or ()
        super().__init__()
        self.column_schemas: Any = Columns.of(ColumnSchema.of(column) for column in columns)

    @classmethod
    def create(cls, column_schemas: Any = None, **kwargs: Any) -> Schema:
        """A schema of columns or names.

        Raises:
            TypeError: if it is neither a list nor a dict.
        """
        if not isinstance(column_schemas or [], list | dict):
            raise TypeError(
                "a schema is made of a list of columns or a dict of them by name, "
                f"not {type(column_schemas).__name__}"
            )
        return cls(column_schemas, **kwargs)

    def _content(self) -> dict[str, Any]:
        return json_of(self)

    def from_json(self, value: str | bytes | os.PathLike[str]) -> Schema:
        """This schema, to which the columns of a ``schema.json`` are added, given as its path or its text."""
        return self.from_dict(json.loads(_text(value)))

    def from_dict(self, value: Mapping[str, Any]) -> Schema:
        """This schema, to which the columns of the content of a ``schema.json`` are added."""
        self.feature = [*self.feature, *_of_features(value)]
        return self

    def from_proto_text(self, path_or_proto_text: str | os.PathLike[str]) -> Schema:
        """The schema in a ``schema.pbtxt``, given as its path or its text."""
        from google.protobuf import json_format, struct_pb2, text_format
        from tensorflow_metadata.proto.v0 import schema_pb2

        del struct_pb2  # imported to make Struct known, in which properties are written
        message = text_format.Parse(_text(path_or_proto_text), schema_pb2.Schema())
        return _of_features(json_format.MessageToDict(message))

    def to_proto_text(self) -> str:
        """The text of a ``schema.pbtxt``."""
        blocks = ("".join(f"  {line}\n" for line in text_of(one).splitlines()) for one in self)
        return "".join(f"feature {{\n{block}}}\n" for block in blocks)

    @property
    def feature(self) -> Any:
        """The columns; what is appended to them belongs to the schema."""
        return self.column_schemas

    @feature.setter
    def feature(self, columns: Iterable[Any]) -> None:
        self.column_schemas = Columns.of(ColumnSchema.of(column) for column in columns)

    @property
    def column_names(self) -> list[str]:
        """Names in order."""
        names: list[str] = self.column_schemas.keys()
        return names

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

    def remove_by_name(self, to_remove: Any) -> Schema:
        """All columns but the named ones, or those whose name a function says yes to."""
        gone = set(self.select_by_name(to_remove).column_names)
        return self.filter_column_schemas(lambda column: column.name in gone, negate=True)

    def select_by_tag(self, to_select: Any, pred_fn: Any = None) -> Schema:
        """Columns that have all of the tags; or whose tags a function says yes to."""
        if callable(to_select):
            return self.filter_column_schemas(lambda column: to_select(column.tags))
        tags = core.TagSet(to_select)
        return self.filter_column_schemas(lambda column: all(tag in column.tags for tag in tags))

    def remove_by_tag(self, to_remove: Any, pred_fn: Any = None) -> Schema:
        """Columns that lack one of the tags."""
        tags = core.TagSet(to_remove)
        return self.filter_column_schemas(lambda column: not all(tag in column.tags for tag in tags))

    def select_by_type(self, to_select: Any) -> Schema:
        """Columns of these types of values; or whose type a function says yes to."""
        return self.filter_column_schemas(_of_type(to_select))

    def remove_by_type(self, to_remove: Any) -> Schema:
        """All columns but those of these types."""
        return self.filter_column_schemas(_of_type(to_remove), negate=True)

    def filter_column_schemas(
        self, filter_fn: Callable[[ColumnSchema], bool], negate: bool = False
    ) -> Schema:
        """Columns that a function says yes to, or no with ``negate``."""
        return Schema([column for column in self.feature if bool(filter_fn(column)) != negate])

    def map_column_schemas(self, map_fn: Callable[[ColumnSchema], core.ColumnSchema]) -> Schema:
        """A function's value of every column."""
        return Schema([map_fn(column) for column in self.feature])

    def filter_columns_from_dict(self, input_dict: Mapping[str, Any]) -> dict[str, Any]:
        """The entries of a dictionary whose names are columns."""
        return {name: value for name, value in input_dict.items() if name in self.column_schemas}

    def with_tags_based_on_properties(
        self, using_value_count: bool = True, using_domain: bool = True
    ) -> Schema:
        """All columns with the tags that their value counts and domains speak for.

        Args:
            using_value_count: whether columns that have a value count become LIST.
            using_domain: whether ids become CATEGORICAL and numbers CONTINUOUS.
        """
        return self.map_column_schemas(
            lambda column: column.with_tags_based_on_properties(using_value_count, using_domain)
        )

    def apply(self, selector: Any) -> Schema:
        """The columns that a selector names; all of them for none."""
        names = getattr(selector, "names", selector)
        return self.select_by_name(names) if names else self

    def apply_inverse(self, selector: Any) -> Schema:
        """The columns that a selector does not name."""
        return self.remove_by_name(getattr(selector, "names", selector)) if selector else self

    def copy(self, **kwargs: Any) -> Schema:
        """A new schema of the same columns, or of those given as ``feature``."""
        return Schema(**{"feature": [column.copy() for column in self.feature], **kwargs})

    def add(self, other: Any, allow_overlap: bool = True) -> Schema:
        """These columns, then the other's; tags of columns that both have are added.

        Args:
            other: a schema, a list of columns, or a name.
            allow_overlap: whether both may have a column.

        Raises:
            ValueError: if both have one and may not.
        """
        more = Schema([other] if isinstance(other, str) else list(other))
        shared = [name for name in more.column_names if name in self.column_schemas]
        if shared and not allow_overlap:
            raise ValueError(f"both schemas have the columns {shared}: remove them from one")
        columns = Columns(self)
        for column in more:
            mine = columns.get(column.name)
            columns[column.name] = mine.with_tags(column.tags) if mine else column
        return Schema(columns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, core.Schema):
            return NotImplemented
        mine, theirs = ({column.name: column for column in one} for one in (self, other))
        return mine == theirs

    __hash__ = None

    def __add__(self, other: Any) -> Schema:
        return self.add(other)

    def __radd__(self, other: Any) -> Schema:
        return self.add(other)

    def __sub__(self, other: Any) -> Schema:
        if other is not None and not isinstance(other, core.Schema):
            raise TypeError(f"a schema is subtracted from a schema, not {type(other).__name__}")
        return self.remove_by_name(other.column_names) if other is not None else self


def _of_features(content: Any) -> Schema:
    """A schema of the content of a file, also of one without a column."""
    features = content.get("feature") if isinstance(content, Mapping) else None
    return Schema([ColumnSchema.of_feature(feature) for feature in features or []])


def _of_type(types: Any) -> Callable[[Any], bool]:
    if callable(types) and not isinstance(types, int):
        return lambda column: bool(types(column.type))
    several = types if isinstance(types, list | tuple) else [types]
    return lambda column: column.type in several


def _text(path_or_text: Any) -> str:
    if isinstance(path_or_text, bytes):
        return path_or_text.decode()
    text = os.fspath(path_or_text)
    return pathlib.Path(text).read_text(encoding="utf-8") if os.path.isfile(text) else text


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
