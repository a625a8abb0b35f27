"""What ``Dataset.to_ddf`` gives: as much of a Dask data frame as programs use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Frame:
    """The rows of a data set, loaded when asked for.

    Args:
        dataset: a ``merlin.io.Dataset``.
        columns: names; all if not given.
    """

    def __init__(self, dataset: Any, columns: list[str] | None) -> None:
        self._dataset = dataset
        self._table_columns = columns

    @property
    def npartitions(self) -> int:
        """Number of parts."""
        return self._dataset.npartitions  # type: ignore[no-any-return]

    def compute(self, **kwargs: Any) -> Any:
        """All rows as a pandas data frame.

        Args:
            **kwargs: of Dask, such as ``scheduler``; not used.
        """
        return self._dataset._rows(self._table_columns)

    def head(self, n: int = 5, npartitions: int = 1, compute: bool = True) -> Any:
        """The first rows as a pandas data frame."""
        return self._dataset._rows(self._table_columns, n)

    def tail(self, n: int = 5, compute: bool = True) -> Any:
        """The last rows as a pandas data frame."""
        return self.compute().tail(n)

    def persist(self, **kwargs: Any) -> Frame:
        """The frame itself."""
        return self

    def repartition(self, npartitions: int | None = None, **kwargs: Any) -> Frame:
        """The same rows in another number of parts."""
        return Frame(self._dataset.repartition(npartitions), self._table_columns)

    def map_partitions(self, func: Callable[..., Any], *args: Any, meta: Any = None, **kwargs: Any) -> Frame:
        """What a function makes of the data frame of each part.

        Args:
            func: of a data frame.
            *args: passed to it.
            meta: of Dask; not used.
            **kwargs: passed to it.
        """
        made = [func(part, *args, **kwargs) for part in self._dataset.to_iter(self._table_columns)]
        return Frame(self._dataset._of_parts(made), None)

    @property
    def columns(self) -> Any:
        """Names of the columns."""
        return self.head(0).columns

    @property
    def dtypes(self) -> Any:
        """Types of the columns."""
        return self.head(1).dtypes

    def __getitem__(self, columns: str | list[str]) -> Any:
        """Some columns as a frame, or one as a pandas series."""
        if isinstance(columns, str):
            return self.compute()[columns]
        return Frame(self._dataset, list(columns))

    def __len__(self) -> int:
        return self._dataset.num_rows  # type: ignore[no-any-return]
