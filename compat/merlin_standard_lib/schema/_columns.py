"""Columns of a schema of ``merlin_standard_lib``: a list as programs have it, by name as in the core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class Columns(list[Any]):
    """Columns in order, which can also be asked for by name."""

    def keys(self) -> list[str]:
        """Names in order."""
        return [column.name for column in self]

    def values(self) -> list[Any]:
        """The columns."""
        return list(self)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and columns."""
        return ((column.name, column) for column in self)

    def get(self, name: str, default: Any = None) -> Any:
        """The column of a name, or the default."""
        return next((column for column in self if column.name == name), default)

    def __contains__(self, wanted: object) -> bool:
        return wanted in self.keys() if isinstance(wanted, str) else super().__contains__(wanted)

    def __getitem__(self, place: Any) -> Any:
        if not isinstance(place, str):
            return super().__getitem__(place)
        if place not in self:
            raise KeyError(place)
        return self.get(place)

    def __setitem__(self, place: Any, column: Any) -> None:
        if not isinstance(place, str):
            super().__setitem__(place, column)
        elif place in self:
            super().__setitem__(self.keys().index(place), column)
        else:
            self.append(column)

    @classmethod
    def of(cls, columns: Iterable[Any]) -> Columns:
        """Columns, of which one of a name counts: the last, in the place of the first."""
        made = cls()
        for column in columns:
            made[column.name] = column
        return made
