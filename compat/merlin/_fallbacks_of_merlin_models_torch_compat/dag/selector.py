"""``merlin.dag.selector`` where merlin-core is not installed: which columns an operator works on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from merlin.core._absent import only

__getattr__ = only(__name__)


class ColumnSelector:
    """Columns by name or by tag; ``"*"`` is all of them.

    Args:
        names: of the columns, ``"*"`` for all.
        subgroups: selectors of columns that belong together; not used here.
        tags: columns with one of them are chosen too.
    """

    def __init__(
        self,
        names: str | Sequence[Any] | None = None,
        subgroups: Any = None,
        tags: Sequence[Any] | None = None,
    ) -> None:
        self.all = isinstance(names, str) and names == "*"
        given = [] if self.all or names is None else [names] if isinstance(names, str) else list(names)
        groups = [subgroups] if isinstance(subgroups, ColumnSelector) else list(subgroups or [])
        nested = [name for name in given if not isinstance(name, str)]
        groups += [name if isinstance(name, ColumnSelector) else ColumnSelector(name) for name in nested]
        self._names = [name for name in given if isinstance(name, str)]
        self.subgroups = [] if self.all else groups
        self.tags = [] if self.all else list(dict.fromkeys(tags or []))

    @property
    def names(self) -> list[str]:
        """The columns that are named, each once."""
        grouped = [name for group in self.subgroups for name in group.names]
        return list(dict.fromkeys([*self._names, *grouped]))

    @property
    def grouped_names(self) -> list[Any]:
        """The columns that are named; those of a group as one tuple."""
        return list(dict.fromkeys([*self._names, *(tuple(group.names) for group in self.subgroups)]))

    def resolve(self, schema: Any) -> ColumnSelector:
        """The same columns of a schema, all by name."""
        if self.all:
            return ColumnSelector(schema.column_names)
        wanted = set(self._names)
        if self.tags:
            wanted |= set(schema.select_by_tag(self.tags).column_names)
        resolved = ColumnSelector([name for name in schema.column_names if name in wanted])
        resolved.subgroups = [group.resolve(schema) for group in self.subgroups]
        return resolved

    def __add__(self, other: Any) -> ColumnSelector:
        if other is None or self.all:
            return self
        if not isinstance(other, ColumnSelector):
            other = ColumnSelector(other)
        if other.all:
            return other
        return ColumnSelector(
            [*self._names, *other._names],
            [*self.subgroups, *other.subgroups],
            tags=[*self.tags, *other.tags],
        )

    __radd__ = __add__

    def __bool__(self) -> bool:
        return bool(self.all or self._names or self.subgroups or self.tags)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ColumnSelector):
            return False
        return (self.all and other.all) or (self._names == other._names and self.subgroups == other.subgroups)

    __hash__ = None  # type: ignore[assignment]

    def __rshift__(self, operator: Any) -> Any:
        from merlin.core._absent import missing

        raise missing("merlin.dag.Graph")
