"""The columns of a table and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from importlib.util import find_spec
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

from merlin_models_torch.schema.column import ColumnSchema
from merlin_models_torch.schema.errors import SchemaError
from merlin_models_torch.schema.selection import Selection, first_of, missing, selected
from merlin_models_torch.schema.tags import Tag, TagSet

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Names = str | Iterable[str]
Quantifier = Callable[[Iterable[bool]], bool]


class Schema:
    """Columns by name, in order. Selections and sums are new schemas.

    Args:
        column_schemas: columns or names, or columns by name.

    Raises:
        TypeError: if it is neither a sequence nor a mapping.

    Example:
        >>> schema = mm.Schema([
        ...     mm.ColumnSchema("item_id", [mm.Tags.ITEM_ID], dtype="int64"),
        ...     mm.ColumnSchema("price", [mm.Tags.CONTINUOUS], dtype="float32"),
        ... ])
        >>> schema.select(mm.Tags.CONTINUOUS).column_names
        ['price']
        >>> schema.select(["item_id"]) + schema.select("price") == schema
        True
    """

    column_schemas: dict[str, ColumnSchema]

    def __init__(
        self, column_schemas: Mapping[str, ColumnSchema] | Sequence[ColumnSchema | str] | None = None
    ) -> None:
        if isinstance(column_schemas, Mapping):
            self.column_schemas = dict(column_schemas)
        elif column_schemas is None or isinstance(column_schemas, (list, tuple)):
            columns = [ColumnSchema(c) if isinstance(c, str) else c for c in column_schemas or ()]
            self.column_schemas = {column.name: column for column in columns}
        else:
            raise TypeError(
                "a schema is made of a list of columns or a dict of them by name, "
                f"not {type(column_schemas).__name__}"
            )

    @property
    def column_names(self) -> list[str]:
        """Names in order."""
        return list(self.column_schemas)

    @property
    def first(self) -> ColumnSchema:
        """The first column.

        Raises:
            SchemaError: if there is none.
        """
        return first_of(self)

    def select(self, selection: Selection | None) -> Schema:
        """The columns that a selection means, in the order they have here.

        Args:
            selection: a column name, ``"*"``, a tag, a function of a column that says yes or no, a schema, or
                several of these (columns that any of them means); None for all.

        Raises:
            SchemaError: if a name is unknown.
        """
        return self if selection is None else self._kept(selected(self, selection).__contains__)

    def excluding(self, selection: Selection | None) -> Schema:
        """The columns that a selection does not mean; None excludes none."""
        if selection is None:
            return self
        gone = selected(self, selection)
        return self._kept(lambda name: name not in gone)

    apply = select
    apply_inverse = excluding

    def select_by_tag(self, tags: Tag | Iterable[Tag] | TagSet, pred_fn: Quantifier | None = None) -> Schema:
        """Columns that have any of the tags.

        As in merlin-core, one compound tag (``ITEM_ID``) means all of its parts, but in a list of several its
        parts count one by one; ``select([Tags.ITEM_ID, Tags.USER_ID])`` keeps each whole.

        Args:
            tags: one or several.
            pred_fn: ``all`` for columns that have all of them.
        """
        test = _tagged(tags, pred_fn)
        return Schema([column for column in self if test(column)])

    def excluding_by_tag(
        self, tags: Tag | Iterable[Tag] | TagSet, pred_fn: Quantifier | None = None
    ) -> Schema:
        """The columns that :meth:`select_by_tag` would leave out."""
        test = _tagged(tags, pred_fn)
        return Schema([column for column in self if not test(column)])

    remove_by_tag = excluding_by_tag

    def select_by_name(self, names: Names) -> Schema:
        """The named columns, in the order of the names; unknown names are passed over, as in merlin-core."""
        several = [names] if isinstance(names, str) else names
        return Schema({name: self.column_schemas[name] for name in several if name in self.column_schemas})

    def excluding_by_name(self, col_names: Names) -> Schema:
        """All columns but the named ones; unknown names are passed over."""
        gone = {col_names} if isinstance(col_names, str) else set(col_names)
        return self._kept(lambda name: name not in gone)

    without = excluding_by_name

    def remove_col(self, col_name: str) -> Schema:
        """All columns but this one."""
        return self.excluding_by_name([col_name])

    @overload
    def get(self, col_name: str) -> ColumnSchema | None: ...
    @overload
    def get(self, col_name: str, default: ColumnSchema) -> ColumnSchema: ...
    def get(self, col_name: str, default: ColumnSchema | None = None) -> ColumnSchema | None:
        """The column, or the default if there is none of this name."""
        return self.column_schemas.get(col_name, default)

    def copy(self) -> Schema:
        """A new schema of the same columns."""
        return Schema(self.column_schemas)

    def cardinality(self, name: str) -> int:
        """Rows of an embedding table of the column: the largest value of its domain, plus 1.

        Raises:
            SchemaError: if there is no such column, or its domain is not known.
        """
        column = self[name]
        domain = column.properties.get("domain") or {}
        if column.dtype.is_float or domain.get("max") is None:
            raise SchemaError(
                f"column {name!r} ({column.dtype}) has no int domain, so its number of ids is unknown: give "
                "it properties={'domain': {'min': 0, 'max': largest id}} and an integer dtype, or infer the "
                "schema from data by Schema.from_parquet"
            )
        return int(domain["max"]) + 1

    def domain_name(self, name: str) -> str:
        """Name of the domain of a column, its own name if it has none; columns of one domain share ids.

        Raises:
            SchemaError: if there is no such column.
        """
        return (self[name].properties.get("domain") or {}).get("name") or name

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Schema:
        """Read ``schema.pbtxt`` (tensorflow-metadata) or ``schema.json`` (Transformers4Rec).

        Args:
            path: the file, or its folder; or parquet data, whose schema file stands beside it or one folder
                above. The schema of a parquet file without one is inferred.

        Raises:
            SchemaError: if there is none, or it is damaged.
        """
        from merlin_models_torch.schema.files import load

        return load(path)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a file that :meth:`load`, merlin-core and Transformers4Rec read; never leaves half a file.

        Args:
            path: ending in ``.pbtxt`` or ``.json``, or a folder, which gets a ``schema.pbtxt``.

        Raises:
            SchemaError: if the ending is another, or a property cannot be written.
        """
        from merlin_models_torch.schema.files import save

        save(self, path)

    @classmethod
    def from_parquet(
        cls,
        source: str | PathLike[str] | Sequence[str | PathLike[str]],
        *,
        item_id: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        row_key: Names = (),
        targets: Names = (),
        tags: Mapping[str, Tag | Iterable[Tag]] | None = None,
    ) -> Schema:
        """Infer the schema of parquet files; arguments as in :func:`merlin_models_torch.schema.infer.infer`.

        Args:
            source: a file, several, a glob (``"day-*/*.parquet"``) or a folder.
            item_id: column of item ids; one named ``item_id`` unless given.
            user_id: column of user ids; one named ``user_id`` unless given.
            session_id: column that names the session; one named ``session_id`` unless given.
            row_key: further columns that only name a row, and are no input of a model.
            targets: columns to predict.
            tags: further tags by column name.

        Raises:
            SchemaError: if a file is missing, damaged or empty, or a column cannot be used as it is.
        """
        from merlin_models_torch.schema.infer import Roles, from_parquet

        return from_parquet(source, Roles.of(item_id, user_id, session_id, row_key, targets, tags))

    @classmethod
    def from_arrow(
        cls,
        source: pa.Table | pa.RecordBatch | pa.Schema,
        *,
        item_id: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        row_key: Names = (),
        targets: Names = (),
        tags: Mapping[str, Tag | Iterable[Tag]] | None = None,
    ) -> Schema:
        """Infer the schema of an Arrow table; of a ``pa.Schema`` without domains and value counts.

        Args:
            source: the table or schema.
            item_id: as for :meth:`from_parquet`.
            user_id: as for :meth:`from_parquet`.
            session_id: as for :meth:`from_parquet`.
            row_key: as for :meth:`from_parquet`.
            targets: as for :meth:`from_parquet`.
            tags: as for :meth:`from_parquet`.

        Raises:
            SchemaError: if the table is empty, or a column cannot be used as it is.
        """
        from merlin_models_torch.schema.infer import Roles, from_arrow

        return from_arrow(source, Roles.of(item_id, user_id, session_id, row_key, targets, tags))

    @classmethod
    def infer(
        cls,
        source: Any,
        *,
        item_id: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        row_key: Names = (),
        targets: Names = (),
        tags: Mapping[str, Tag | Iterable[Tag]] | None = None,
    ) -> Schema:
        """Infer the schema of anything that holds rows.

        Args:
            source: a pandas or polars data frame (also a lazy one), an Arrow table, record batch or schema, a
                ``merlin.io.Dataset``, or parquet files as for :meth:`from_parquet`.
            item_id: as for :meth:`from_parquet`.
            user_id: as for :meth:`from_parquet`.
            session_id: as for :meth:`from_parquet`.
            row_key: as for :meth:`from_parquet`.
            targets: as for :meth:`from_parquet`.
            tags: as for :meth:`from_parquet`.

        Raises:
            SchemaError: if there are no rows, or a column cannot be used as it is.
            TypeError: if the source is none of these.

        Example:
            >>> rows = pa.table({"item_id": [[3, 4], [5]], "age": [0.5, 0.1]})
            >>> mm.Schema.infer(rows).cardinality("item_id")
            6
        """
        from merlin_models_torch.schema.frames import infer_any
        from merlin_models_torch.schema.infer import Roles

        return infer_any(source, Roles.of(item_id, user_id, session_id, row_key, targets, tags))

    def to_pandas(self) -> pd.DataFrame:
        """One row for each column and what is known of it, as merlin-core gives it; notebooks show this.

        Returns:
            A frame with name, tags, dtype, is_list and is_ragged, and each property in a column of its own,
            nested ones by their path: ``properties.domain.max``; NaN where a column does not have it.

        Raises:
            ImportError: if pandas is not installed.
        """
        from merlin_models_torch.schema.frames import columns_as_frame

        return columns_as_frame(self)

    @overload
    def __getitem__(self, name: str) -> ColumnSchema: ...
    @overload
    def __getitem__(self, name: list[str] | tuple[str, ...]) -> Schema: ...
    def __getitem__(self, name: str | list[str] | tuple[str, ...]) -> ColumnSchema | Schema:
        if isinstance(name, (list, tuple)):
            return Schema([self[one] for one in name])
        if not isinstance(name, str):
            raise TypeError(
                f"columns are taken by name or a list of names, not by {type(name).__name__} {name!r}"
            )
        if name not in self.column_schemas:
            raise missing(self, name)
        return self.column_schemas[name]

    def __setitem__(self, name: str, column: ColumnSchema) -> None:
        self.column_schemas[name] = column

    def __contains__(self, column: object) -> bool:
        if isinstance(column, str):
            return column in self.column_schemas
        return any(column == own for own in self)

    def __iter__(self) -> Iterator[ColumnSchema]:
        return iter(self.column_schemas.values())

    def __len__(self) -> int:
        return len(self.column_schemas)

    def __eq__(self, other: object) -> bool:
        return self.column_schemas == other.column_schemas if isinstance(other, Schema) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Schema | None) -> Schema:
        """These columns, then those of the other; one in both is merged, the other's facts over these."""
        if other is None:
            return self
        if not isinstance(other, Schema):
            return NotImplemented
        ours = [column for column in self if column.name not in other]
        theirs = [self[column.name].merged(column) if column.name in self else column for column in other]
        return Schema([*ours, *theirs])

    def __radd__(self, other: Schema | int | None) -> Schema:
        """So that ``sum(schemas)`` and ``None + schema`` work."""
        return self if other is None or other == 0 else NotImplemented

    def __sub__(self, other: Schema | None) -> Schema:
        """These columns without those of the other."""
        if other is None:
            return self
        return self._kept(lambda name: name not in other) if isinstance(other, Schema) else NotImplemented

    def __repr__(self) -> str:
        return "Schema([\n" + "".join(f"    {column!r},\n" for column in self) + "])"

    def _repr_html_(self) -> str | None:
        """A table in a notebook; the text there where pandas is not installed."""
        if not find_spec("pandas"):
            return None
        # Whole numbers stay whole where some columns have none, and gaps stay empty.
        facts = self.to_pandas().convert_dtypes().astype(object)
        return str(facts.where(facts.notna(), "").to_html(index=False))

    def _kept(self, test: Callable[[str], bool]) -> Schema:
        return Schema({name: column for name, column in self.column_schemas.items() if test(name)})


def _tagged(tags: Tag | Iterable[Tag] | TagSet, pred_fn: Quantifier | None) -> Callable[[ColumnSchema], bool]:
    given = [tags] if isinstance(tags, (str, Enum)) else list(tags)
    wanted = TagSet(given)
    quantifier = pred_fn or (all if len(given) == 1 and len(wanted) > 1 else any)
    return lambda column: quantifier(tag in column.tags for tag in wanted)
