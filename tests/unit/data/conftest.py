"""Session tables that the tests of the data package share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from merlin_models_torch.schema import ColumnSchema, Schema, Tags


def _lists(lengths: np.ndarray, values: np.ndarray) -> pa.Array:
    return pa.ListArray.from_arrays(
        pa.array(np.append(0, np.cumsum(lengths)).astype(np.int32)), pa.array(values)
    )


@pytest.fixture(scope="session")
def sessions() -> pa.Table:
    """103 sessions of 1 to 9 items, a list that is no sequence, a scalar, a label and a string key."""
    rng = np.random.default_rng(7)
    lengths = rng.integers(1, 10, 103)
    total, others = int(lengths.sum()), rng.integers(0, 4, 103)
    return pa.table(
        {
            "item_id": _lists(lengths, rng.integers(1, 50, total)),
            "price": _lists(lengths, rng.random(total)),
            "genres": _lists(others, rng.integers(1, 9, int(others.sum())).astype(np.int32)),
            "country": pa.array(rng.integers(1, 5, 103).astype(np.int8)),
            "click": pa.array(rng.random(103) < 0.5),
            "session_id": pa.array([f"session {i}" for i in range(103)]),
        }
    )


@pytest.fixture(scope="session")
def schema() -> Schema:
    """The schema of ``sessions``."""

    def ids(largest: int) -> dict[str, object]:
        return {"domain": {"min": 0, "max": largest}}

    items, lists = [Tags.ITEM_ID, Tags.CATEGORICAL, Tags.SEQUENCE], {"is_list": True}
    return Schema(
        [
            ColumnSchema("item_id", items, ids(49), "int64", **lists),
            ColumnSchema("price", [Tags.CONTINUOUS, Tags.SEQUENCE], dtype="float32", **lists),
            ColumnSchema("genres", [Tags.CATEGORICAL], ids(8), "int64", **lists),
            ColumnSchema("country", [Tags.CATEGORICAL], ids(4), "int64"),
            ColumnSchema("click", [Tags.TARGET], dtype="bool"),
            ColumnSchema("session_id", [Tags.SESSION_ID], dtype="str"),
        ]
    )


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., str]:
    """Writes a table as a parquet file and gives its path."""

    def write(table: pa.Table, name: str = "rows.parquet", row_group_size: int = 10) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, row_group_size=row_group_size)
        return str(path)

    return write
