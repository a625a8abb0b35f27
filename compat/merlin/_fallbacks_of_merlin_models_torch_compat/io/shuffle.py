"""``merlin.io.shuffle`` where merlin-core is not installed."""

from __future__ import annotations

from enum import Enum
from typing import Any


class Shuffle(Enum):
    """How far rows move when a data set is written."""

    PER_PARTITION = 0
    PER_WORKER = 1
    FULL = 2


def shuffle_df(df: Any, size: int | None = None, keep_index: bool = False) -> Any:
    """The rows of a data frame in another order, drawn from NumPy's generator.

    Args:
        df: of pandas.
        size: how many rows; all if not given.
        keep_index: whether the index goes with the rows.
    """
    return df.sample(n=len(df) if size is None else size, ignore_index=not keep_index)


__all__ = ["Shuffle", "shuffle_df"]
