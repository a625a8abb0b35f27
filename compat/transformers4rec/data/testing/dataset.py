"""Sessions of clicks: lists of ids and of numbers about the time."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from transformers4rec._legacy import elsewhere
from transformers4rec.data.testing._columns import Column, in_lists
from transformers4rec.data.testing._generated import ROWS, GeneratedDataset

__getattr__ = elsewhere(__name__, {"transformers4rec.data.dataset": "ParquetDataset"})

_FIRST_SECOND, _LAST_SECOND = 1_396_324_589, 1_396_922_290
_timed = partial(Column, dtype="float32", lists=True)


def _lengths(rng: np.random.Generator) -> NDArray[np.int64]:
    """Two clicks and more, four on average."""
    return rng.geometric(0.35, ROWS).clip(max=62) + 1


def _with_times(table: pa.Table, lengths: NDArray[np.int64]) -> pa.Table:
    """Sessions in order of their start, their clicks a minute apart."""
    starts = np.linspace(_FIRST_SECOND, _LAST_SECOND, ROWS).astype(np.int64)
    within = np.arange(lengths.sum()) - np.repeat(np.r_[0, lengths.cumsum()[:-1]], lengths)
    days = (starts - _FIRST_SECOND) // 86_400 + 1
    columns = {
        "session_id": pa.array(np.arange(1, ROWS + 1)),
        "session_start": pa.array(starts * 1_000_000_000).cast(pa.timestamp("ns")),
        "ts/list": in_lists(pa.array(np.repeat(starts, lengths) + 60 * within), lengths),
        "ts/last": pa.array(starts + 60 * (lengths - 1)),
        "ts/first": pa.array(starts),
        "session_size": pa.array(lengths.astype(np.int32)),
        "day_idx": pa.array([f"{day:04d}" for day in days]),
    }
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table


def _about_time(name: str, low: float, high: float, *, tags: str = "continuous time list") -> Column:
    return _timed(f"timestamp/{name}/list", low, high, tags=tags, domain=(low, high))


tabular_sequence_testing_data: GeneratedDataset = GeneratedDataset(
    "sequence",
    [
        Column("timestamp/age_days/list", 0, 6, lists=True, listed=False),
        _about_time("age_days/LogOp/Normalize", -2.918, 1.523, tags="continuous list"),
        _about_time("hour", 0.0, 1.605),
        _about_time("weekday", 0.0, 1.568),
        _about_time("day", 0.056, 1.734),
        _about_time("month", 0.593, 1.334),
        _about_time("year", 0.999, 1.0),
        _about_time("hour/sin", 0.0, 0.408),
        _about_time("hour/cos", 0.913, 1.0),
        _about_time("weekday/sin", 0.742, 1.0),
        _about_time("weekday/cos", -0.67, 0.623),
        Column(
            "item_id/list",
            1,
            51_996,
            lists=True,
            tags="item_id list categorical item",
            domain=(1, 51_996),
            skewed=True,
        ),
        Column("category/list", 1, 332, lists=True, tags="list categorical item", domain=(1, 332)),
        Column("user_country", 1, 62, dtype="int32", tags="categorical", domain=(1, 62), skewed=True),
        Column("user_age", 0.0, 0.408, dtype="float32", tags="continuous", domain=(0.0, 0.408)),
    ],
    lengths=_lengths,
    counts=(2, 185),
    more=_with_times,
)
