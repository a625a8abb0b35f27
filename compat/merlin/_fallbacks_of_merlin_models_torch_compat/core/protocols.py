"""``merlin.core.protocols`` where merlin-core is not installed: types for annotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from merlin.core._absent import only


@runtime_checkable
class DictLike(Protocol):
    """Values by name."""

    def __iter__(self) -> Any: ...
    def __len__(self) -> int: ...
    def __getitem__(self, key: Any) -> Any: ...
    def __setitem__(self, key: Any, value: Any) -> None: ...
    def keys(self) -> Any:
        """The names."""

    def values(self) -> Any:
        """The values."""

    def items(self) -> Any:
        """Pairs of both."""


@runtime_checkable
class SeriesLike(Protocol):
    """The values of one column."""

    def values(self) -> Any:
        """An array of them."""

    def dtype(self) -> Any:
        """Their type."""


@runtime_checkable
class DataFrameLike(Protocol):
    """Columns by name."""

    columns: Sequence[str]

    def dtypes(self) -> Any:
        """Types of the columns."""

    def __getitem__(self, key: Any) -> Any: ...
    def __setitem__(self, key: Any, value: Any) -> None: ...


@runtime_checkable
class Transformable(DictLike, DataFrameLike, Protocol):
    """What an operator changes: a data frame or a ``TensorTable``."""


__getattr__ = only(__name__)
__all__ = ["DataFrameLike", "DictLike", "SeriesLike", "Transformable"]
