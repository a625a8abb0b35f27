"""Events, one a row, with the categories of the item in a list."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from transformers4rec._legacy import elsewhere
from transformers4rec.data.testing._columns import Column
from transformers4rec.data.testing._generated import ROWS, GeneratedDataset

__getattr__ = elsewhere(__name__, {"transformers4rec.data.dataset": "ParquetDataset"})

_id = partial(Column, skewed=True)


def _lengths(rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.geometric(0.55, ROWS).clip(max=4)


def _with_days(table: pa.Table, lengths: NDArray[np.int64]) -> pa.Table:
    del lengths
    seconds = table["event_timestamp"].to_numpy()
    days = (seconds - seconds.min()) // 86_400 + 1
    moments = pa.array(seconds * 1_000_000_000).cast(pa.timestamp("ns"))
    table = table.append_column("event_datetime", moments)
    return table.append_column("day_idx", pa.array([f"{day:04d}" for day in days]))


def _number(name: str, low: float, high: float, domain: tuple[float, float]) -> Column:
    return Column(name, low, high, dtype="float64", tags="continuous", domain=domain)


tabular_testing_data: GeneratedDataset = GeneratedDataset(
    "tabular",
    [
        _id("user_id", 1, 1797, tags="categorical", domain=(1, 1797)),
        Column("event_timestamp", 1_396_324_589, 1_396_922_290),
        _number("item_age_days_norm", -2.918, -1.257, (-2.918, -1.257)),
        _number("event_hour_sin", 0.0, 0.408, (0.0, 1.0)),
        _number("event_hour_cos", 0.913, 1.0, (0.0, 1.0)),
        _number("event_weekday_sin", 0.742, 1.0, (0.0, 1.0)),
        _number("event_weekday_cos", -0.67, 0.623, (-1.0, 1.0)),
        _id("item_id", 1, 51_996, tags="item_id categorical item", domain=(1, 51_996)),
        Column("categories", 1, 331, lists=True, tags="list categorical item", domain=(1, 331)),
        _id("user_country", 1, 62, dtype="int32", tags="categorical", domain=(1, 62)),
        _number("user_age", 0.0, 0.408, (0.0, 0.408)),
    ],
    lengths=_lengths,
    counts=(1, 4),
    more=_with_days,
)
