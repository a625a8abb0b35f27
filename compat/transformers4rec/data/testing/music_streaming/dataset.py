"""Sessions of twenty tracks each, with targets of several kinds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transformers4rec._legacy import elsewhere
from transformers4rec.data.testing._columns import Column
from transformers4rec.data.testing._generated import ROWS, GeneratedDataset

__getattr__ = elsewhere(__name__, {"transformers4rec.data.dataset": "ParquetDataset"})


def _lengths(rng: np.random.Generator) -> NDArray[np.int64]:
    del rng
    return np.full(ROWS, 20)


def _target(name: str, kind: str) -> Column:
    return Column(
        name,
        0.0,
        1.0,
        dtype="float64",
        tags=f"{kind} target",
        typed=False,
        whole=kind == "binary_classification",
    )


def _track(name: str, high: int, *, tags: str = "categorical item list", skewed: bool = False) -> Column:
    largest = 10_000 if name == "item_id" else high + 1
    return Column(name, 1, high, lists=True, tags=tags, domain=(0, largest), skewed=skewed)


music_streaming_testing_data: GeneratedDataset = GeneratedDataset(
    "music_streaming",
    [
        Column("session_id", 1, 500, tags="categorical session_id", domain=(0, 10_000), skewed=True),
        _track("item_id", 1500, tags="categorical item_id item list", skewed=True),
        _track("item_category", 99),
        Column(
            "item_recency",
            0.0,
            1.0,
            dtype="float64",
            lists=True,
            tags="continuous item list",
            domain=(0.0, 1.0),
        ),
        _track("item_genres", 99),
        Column("user_id", 1, 700, tags="categorical user_id", domain=(0, 10_000), skewed=True),
        Column("country", 1, 99, tags="categorical user", domain=(0, 100), skewed=True),
        _target("click", "binary_classification"),
        _target("play_percentage", "regression"),
        _target("like", "binary_classification"),
    ],
    lengths=_lengths,
    counts=(1, 20),
)
