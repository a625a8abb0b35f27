"""A schema from data: Arrow tables and parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import pyarrow as pa

from merlin_models_torch.schema.column import ColumnSchema
from merlin_models_torch.schema.errors import SchemaError
from merlin_models_torch.schema.facts import (
    Facts,
    element_type,
    is_list,
    parquet_files,
    parquet_schema,
    scan_files,
    scan_table,
)
from merlin_models_torch.schema.schema import Names, Schema
from merlin_models_torch.schema.tags import Tag, Tags, TagSet

LARGEST_ID = 100_000_000
"""Whole numbers above this are not taken for ids: a table of one row an id would not fit in memory."""

_TIME_NAMES = ("timestamp", "time", "ts", "datetime")
_KINDS = (Tags.CATEGORICAL, Tags.CONTINUOUS, Tags.EMBEDDING, Tags.TIME)
_TASKS = (
    *(Tags.REGRESSION, Tags.CLASSIFICATION, Tags.BINARY, Tags.MULTI_CLASS),
    *(Tags.BINARY_CLASSIFICATION, Tags.MULTI_CLASS_CLASSIFICATION),
)
_INDEX = "__index_level_"


@dataclass(frozen=True)
class Roles:
    """What the user says of columns.

    Args:
        named: the tag that a column gets by its role (``ITEM_ID``), by column name.
        row_keys: columns that only name a row.
        targets: columns to predict.
        tags: further tags by column name.
    """

    named: Mapping[str, Tags] = field(default_factory=dict)
    row_keys: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    tags: Mapping[str, TagSet] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        item_id: str | None,
        user_id: str | None,
        session_id: str | None,
        row_key: Names,
        targets: Names,
        tags: Mapping[str, Tag | Iterable[Tag]] | None,
    ) -> Roles:
        """From the arguments of :meth:`Schema.from_parquet`; the rest is left to :meth:`found_in`."""
        given = {Tags.ITEM_ID: item_id, Tags.USER_ID: user_id, Tags.SESSION_ID: session_id}
        return cls(
            named={name: tag for tag, name in given.items() if name is not None},
            row_keys=frozenset([row_key] if isinstance(row_key, str) else row_key),
            targets=frozenset([targets] if isinstance(targets, str) else targets),
            tags={name: _tags(name, some) for name, some in (tags or {}).items()},
        )

    def found_in(self, names: Sequence[str]) -> Roles:
        """With the usual names for roles that were not given.

        Raises:
            SchemaError: if a given name is not among the columns.
        """
        for name in (*self.named, *self.row_keys, *self.targets, *self.tags):
            if name not in names:
                raise SchemaError(
                    f"there is no column {name!r} in the data, only {list(names)}: "
                    "check the name that was given"
                )
        taken = set(self.named.values())
        usual = {
            name: tag
            for tag in (Tags.ITEM_ID, Tags.USER_ID, Tags.SESSION_ID)
            for name in names
            if tag not in taken and name in (tag.value, f"{tag.value}-list", f"{tag.value}_list")
        }
        return Roles({**usual, **self.named}, self.row_keys, self.targets, self.tags)


def from_arrow(source: pa.Table | pa.RecordBatch | pa.Schema, roles: Roles) -> Schema:
    """Infer from a table; see :meth:`Schema.from_arrow`."""
    if isinstance(source, pa.Schema):
        return infer(source, None, roles)
    if isinstance(source, pa.RecordBatch):
        source = pa.Table.from_batches([source])
    if not isinstance(source, pa.Table):
        raise TypeError(f"an Arrow table, record batch or schema is needed, not {type(source).__name__}")
    _check(source.schema, roles)
    return infer(source.schema, scan_table(source), roles)


def from_parquet(source: str | PathLike[str] | Sequence[str | PathLike[str]], roles: Roles) -> Schema:
    """Infer from files; see :meth:`Schema.from_parquet`."""
    files = parquet_files(source)
    columns = parquet_schema(files)
    try:
        _check(columns, roles)
        return infer(columns, scan_files(files, columns), roles)
    except SchemaError as error:
        said = str(error)
        named = any(str(file) in said for file in files)
        raise (error if named else SchemaError(f"{files[0]} gives no schema: {said}")) from error


def infer(columns: pa.Schema, facts: Mapping[str, Facts] | None, roles: Roles) -> Schema:
    """The schema of columns of these types and contents.

    Whole numbers are CATEGORICAL with a domain from 0 (padding) to the largest, floating-point numbers
    CONTINUOUS, times TIME, lists also LIST and SEQUENCE with the numbers of values that occur, lists of one
    length of floating-point numbers EMBEDDING. Beside an item id of one value a row lists are any number of
    values of that row, and no SEQUENCE. Targets are TARGET and BINARY_CLASSIFICATION (0 and 1),
    MULTI_CLASS_CLASSIFICATION (other whole numbers) or REGRESSION, and neither CATEGORICAL nor CONTINUOUS, so
    that they are not selected as inputs. Row keys (the session id is one) are ID and not CATEGORICAL.

    Args:
        columns: names and types.
        facts: what was seen in the data, by column; None if there is no data.
        roles: what the user says.

    Raises:
        SchemaError: if a column cannot be used as it is; names the column and the fix.
    """
    roles = _check(columns, roles)
    kept = [one for one in columns if not one.name.startswith(_INDEX)]
    items = [one for one in kept if Tags.ITEM_ID in _given(one.name, roles)]
    ordered = not items or any(is_list(one.type) for one in items)
    return Schema(
        [_column(one, None if facts is None else facts[one.name], roles, ordered=ordered) for one in kept]
    )


def _given(name: str, roles: Roles) -> TagSet:
    tags = roles.tags.get(name, TagSet())
    return tags.override(roles.named[name]) if name in roles.named else tags


def _column(arrow: pa.Field, facts: Facts | None, roles: Roles, *, ordered: bool) -> ColumnSchema:
    """One column; lists are sequences where the rows are ``ordered``, as sessions are."""
    name = arrow.name
    element = element_type(arrow.type)
    given, tags = roles.tags.get(name, TagSet()), _given(name, roles)
    if Tags.ID in tags and pa.types.is_floating(element) and not _is_row_key(name, roles):
        raise SchemaError(
            f"column {name!r} holds floating-point numbers, not ids: convert it to whole numbers "
            "(missing values make pandas turn whole numbers into floating-point ones)"
        )
    if _is_row_key(name, roles):
        tags = tags.override(Tags.ID)
    elif name in roles.targets or Tags.TARGET in given:
        tags = tags.override([Tags.TARGET, *_task(element, facts, given)])
    elif not any(kind in tags for kind in _KINDS):
        tags = tags.override(_kind(arrow, element))
    dims = _dims(arrow.type, facts)
    if dims and not (len(dims) == 2 and Tags.EMBEDDING in tags):
        tags = tags.override([Tags.LIST, Tags.SEQUENCE] if ordered else Tags.LIST)
    properties: dict[str, Any] = {}
    if (
        facts is not None
        and facts.high is not None
        and (pa.types.is_integer(element) or pa.types.is_boolean(element))
    ):
        low = facts.low or 0
        if Tags.CATEGORICAL in tags:
            _check_ids(name, low, facts.high)
            low = 0
        properties["domain"] = {"min": int(low), "max": int(facts.high), "name": name}
    elif facts is not None and facts.high is None and Tags.CATEGORICAL in tags:
        raise SchemaError(f"column {name!r} has no value in any row, so it has no ids: leave the column out")
    return ColumnSchema(name, tags, properties, element, dims=dims)


def _tags(name: str, tags: Tag | Iterable[Tag]) -> TagSet:
    try:
        return TagSet(tags)
    except ValueError as error:
        raise SchemaError(f"column {name!r}: {error}") from None


def _is_row_key(name: str, roles: Roles) -> bool:
    return name in roles.row_keys or roles.named.get(name) is Tags.SESSION_ID


def _kind(arrow: pa.Field, element: pa.DataType) -> Tags:
    """What a column is for by its type, if nobody says."""
    if pa.types.is_temporal(element):
        return Tags.TIME
    if pa.types.is_floating(element):
        return Tags.EMBEDDING if _vector_size(arrow.type) else Tags.CONTINUOUS
    return Tags.TIME if arrow.name.lower() in _TIME_NAMES else Tags.CATEGORICAL


def _task(element: pa.DataType, facts: Facts | None, given: TagSet) -> list[Tags]:
    if any(task in given for task in _TASKS):
        return []
    if pa.types.is_boolean(element):
        return [Tags.BINARY_CLASSIFICATION]
    if not pa.types.is_integer(element):
        return [Tags.REGRESSION]
    if facts is None or facts.high is None:
        return []
    low = facts.low or 0
    if low < 0:
        return [Tags.REGRESSION]
    return [Tags.BINARY_CLASSIFICATION if facts.high <= 1 else Tags.MULTI_CLASS_CLASSIFICATION]


def _dims(arrow: pa.DataType, facts: Facts | None) -> tuple[Any, ...] | None:
    """Rows, then the sizes of the lists, the outermost as seen in the data."""
    sizes: list[Any] = []
    while is_list(arrow):
        fixed = arrow.list_size if pa.types.is_fixed_size_list(arrow) else None
        sizes.append(fixed)
        arrow = arrow.value_type
    if not sizes:
        return None
    if facts is not None and facts.longest is not None and sizes[0] is None:
        sizes[0] = (facts.shortest, facts.longest)
    return (None, *sizes)


def _vector_size(arrow: pa.DataType) -> int | None:
    """Size of the innermost lists if they are all of one."""
    size = None
    while is_list(arrow):
        size = arrow.list_size if pa.types.is_fixed_size_list(arrow) else None
        arrow = arrow.value_type
    return size


def _check(columns: pa.Schema, roles: Roles) -> Roles:
    """Before anything is read: names are unique, roles exist, types are ones that a model can take."""
    if len(set(columns.names)) < len(columns.names):
        raise SchemaError(f"the data has two columns of one name in {columns.names}: rename one")
    roles = roles.found_in(columns.names)
    for arrow in columns:
        name, element = arrow.name, element_type(arrow.type)
        numeric = (
            pa.types.is_integer(element) or pa.types.is_floating(element) or pa.types.is_boolean(element)
        )
        if numeric or pa.types.is_temporal(element) or _is_row_key(name, roles) or name.startswith(_INDEX):
            continue
        if pa.types.is_string(element) or pa.types.is_large_string(element):
            raise SchemaError(
                f"column {name!r} holds strings, which no model takes: encode it to whole numbers "
                f"(sessions_from_events does), give row_key={name!r} if it only names rows, or leave it out"
            )
        raise SchemaError(
            f"column {name!r} is of type {arrow.type}, expected whole or floating-point numbers, bools, "
            "times or lists of them: convert it or leave it out"
        )
    return roles


def _check_ids(name: str, low: int, high: int) -> None:
    if low < 0:
        raise SchemaError(
            f"column {name!r} has the negative value {low}, so its values are no ids: encode it "
            f"(sessions_from_events does), or give tags={{{name!r}: [Tags.CONTINUOUS]}} if it is a quantity"
        )
    if high > LARGEST_ID:
        raise SchemaError(
            f"column {name!r} has values up to {high}, too many for a table of one row an id: encode it "
            f"(sessions_from_events does), give tags={{{name!r}: [Tags.TIME]}} if it is a time, or "
            f"row_key={name!r} if it only names the row"
        )
