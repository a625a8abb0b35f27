"""What a loader reads of a source, by the schema: checked against the files before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from merlin_models_torch.data.arrow import Kind, is_integer_like, is_number, leaf_type
from merlin_models_torch.data.errors import DataError
from merlin_models_torch.data.source import Source
from merlin_models_torch.schema import ColumnSchema, Schema, Tags
from merlin_models_torch.schema.facts import is_list

_TARGETS = (
    Tags.TARGET,
    Tags.BINARY,
    Tags.REGRESSION,
    Tags.CLASSIFICATION,
    Tags.MULTI_CLASS,
    Tags.BINARY_CLASSIFICATION,
    Tags.MULTI_CLASS_CLASSIFICATION,
)


@dataclass(frozen=True)
class ColumnLayout:
    """How one column is read.

    Args:
        name: of the column.
        kind: a value, a ragged list or a vector a row.
        is_id: whether its values are checked against a domain.
        smallest: smallest value of the domain, 0 for what indexes an embedding table.
        largest: largest value of the domain; None if not known.
        is_number: whether its values are numbers, so that nan fills inner lists up.
    """

    name: str
    kind: Kind
    is_id: bool
    smallest: int
    largest: int | None
    is_number: bool = False


@dataclass(frozen=True)
class Layout:
    """What is read of a source.

    Args:
        columns: in the order of the schema.
        targets: names of the columns that are labels.
        keys: names of the columns that name a row (user or session) and are no features.
        sequences: list columns that the schema tags as sequences, and labels of positions: their lengths
            agree in every row.
        item: the list column of item ids, or else the first sequence; None without either.
    """

    columns: tuple[ColumnLayout, ...]
    targets: frozenset[str]
    keys: tuple[str, ...]
    sequences: frozenset[str]
    item: str | None

    @property
    def names(self) -> list[str]:
        """Names of the columns that are read for batches."""
        return [column.name for column in self.columns]

    @property
    def numbers(self) -> frozenset[str]:
        """Names of the columns of numbers."""
        return frozenset(column.name for column in self.columns if column.is_number)


def plan_layout(source: Source, schema: Schema, targets: Iterable[str] | None) -> Layout:
    """What to read of a source by a schema.

    Raises:
        DataError: if a file lacks a column, or has it in a type that does not fit the schema.
    """
    names = _target_names(schema, targets)
    named = [column.name for column in schema if _is_key(column) and column.name not in names]
    used = [column for column in schema if column.name not in named]
    if not used:
        raise DataError(f"the schema has no column to read, only row keys {named}: add the inputs to it")
    kinds: dict[str, tuple[str, Kind]] = {}
    for file, found in source.schemas():
        for column in used:
            kind = _check_column(column, found, file)
            first, known = kinds.setdefault(column.name, (file, kind))
            if known != kind:
                raise DataError(
                    f"column {column.name!r} is a {known} in {first} and a {kind} in {file}: "
                    "write all files alike"
                )
    # Rows to answer for may come without a key.
    keys = tuple(name for name in named if all(name in found.names for _, found in source.schemas()))
    columns = tuple(
        ColumnLayout(
            c.name, kinds[c.name][1], _is_id(c), _smallest(c), _largest(c), Tags.CONTINUOUS in c.tags
        )
        for c in used
    )
    lists = [c for c in used if kinds[c.name][1] == "list"]
    sequences = [c.name for c in lists if Tags.SEQUENCE in c.tags]
    items = [c.name for c in lists if Tags.ITEM in c.tags and Tags.ID in c.tags]
    item = items[0] if items else sequences[0] if sequences else None
    sequences += [c.name for c in lists if c.name in names and _labels_positions(c)]
    return Layout(columns, frozenset(names), keys, frozenset(sequences), item)


def _labels_positions(column: ColumnSchema) -> bool:
    """Whether a list of labels has one for each position; a list of ids is a set to predict."""
    return Tags.CATEGORICAL not in column.tags and any(tag in column.tags for tag in _TARGETS[1:])


def _target_names(schema: Schema, targets: Iterable[str] | None) -> list[str]:
    if targets is None:
        return [column.name for column in schema if any(tag in column.tags for tag in _TARGETS)]
    names = [targets] if isinstance(targets, str) else list(targets)
    for name in names:
        if name not in schema.column_names:
            raise DataError(
                f"target {name!r} is not in the schema, which has {schema.column_names}: "
                "add it, or name one of these"
            )
    return names


def _is_key(column: ColumnSchema) -> bool:
    """Whether a column only names the row: an id that is not of items and has no embedding."""
    others = (Tags.ITEM, Tags.CATEGORICAL, Tags.CONTINUOUS, Tags.EMBEDDING)
    return Tags.ID in column.tags and not column.is_list and not any(tag in column.tags for tag in others)


def _is_id(column: ColumnSchema) -> bool:
    if Tags.CONTINUOUS in column.tags or Tags.TIME in column.tags:
        return False
    return Tags.CATEGORICAL in column.tags or _largest(column) is not None


def _smallest(column: ColumnSchema) -> int:
    if Tags.CATEGORICAL in column.tags:
        return 0
    return min(int((column.properties.get("domain") or {}).get("min") or 0), 0)


def _largest(column: ColumnSchema) -> int | None:
    largest = (column.properties.get("domain") or {}).get("max")
    # Schemas written by hand or by others may say max 0 where they do not know the domain.
    return int(largest) if largest and not column.dtype.is_float else None


def _check_column(column: ColumnSchema, found: pa.Schema, file: str) -> Kind:
    name = column.name
    places = found.get_all_field_indices(name)
    if len(places) != 1:
        have = f"has it {len(places)} times" if places else f"has only {_some(found.names)}"
        raise DataError(
            f"column {name!r} of the schema is not in {file}, which {have}: mend the schema or the data"
        )
    kind = found.field(places[0]).type
    where = f"column {name!r} of {file}"
    leaf = leaf_type(kind)
    if not (is_number(leaf) or pa.types.is_null(leaf)):
        raise DataError(
            f"{where} has type {kind}, expected numbers: encode it by a Vocabulary or sessions_from_events, "
            "read it as model.raw_ids(data) where a model knows these ids, or leave it out of the schema"
        )
    if _is_id(column) and not (is_integer_like(leaf) or pa.types.is_null(leaf)):
        raise DataError(
            f"{where} has type {kind}, expected integer ids: cast it to int64, or tag it continuous"
        )
    wants_list = column.is_list or Tags.SEQUENCE in column.tags or Tags.LIST in column.tags
    if wants_list and not is_list(kind):
        raise DataError(
            f"{where} has type {kind}, expected a list, as its schema says: "
            "group the rows into lists, or mend the schema"
        )
    if not is_list(kind):
        return "scalar"
    if not wants_list and column.dims is not None:
        raise DataError(
            f"{where} has type {kind}, expected one value a row, as its schema says: "
            "give the column is_list=True in the schema"
        )
    return "vector" if Tags.EMBEDDING in column.tags and Tags.SEQUENCE not in column.tags else "list"


def _some(names: list[str]) -> str:
    return f"{names[:20]} and {len(names) - 20} more" if len(names) > 20 else str(names)
