"""One shuffled epoch of session parquet, opened anew, list columns as padded matrices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = ("item_id", "category", "brand", "weekday")
LONGEST = 40
DOMAIN = 50_000


def prepare(folder: Path, *, rows: int, batch_size: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    offsets = np.concatenate([[0], random.integers(2, LONGEST + 1, rows).cumsum()]).astype(np.int32)
    table = {
        name: pa.ListArray.from_arrays(offsets, random.integers(1, DOMAIN, offsets[-1])) for name in COLUMNS
    }
    pq.write_table(pa.table(table), folder / "sessions.parquet")


def ours(folder: Path, *, rows: int, batch_size: int) -> Callable[[], Any]:
    from merlin_models_torch.data import ParquetLoader
    from merlin_models_torch.schema import ColumnSchema, Schema, Tags

    domain = {"domain": {"min": 0, "max": DOMAIN}}
    schema = Schema(
        [
            ColumnSchema(
                name,
                tags=[Tags.CATEGORICAL, Tags.SEQUENCE] + [Tags.ITEM_ID] * (name == "item_id"),
                properties=domain,
                dtype=np.int64,
                is_list=True,
                is_ragged=True,
            )
            for name in COLUMNS
        ]
    )

    def run() -> Any:
        loader = ParquetLoader(
            folder / "sessions.parquet",
            schema,
            batch_size=batch_size,
            shuffle=True,
            max_sequence_length=LONGEST,
            padded=True,
        )
        return [dict(batch.features) for batch in loader]

    return run


def legacy(folder: Path, *, rows: int, batch_size: int) -> Callable[[], Any]:
    """Transformers4Rec's loader, which is merlin-dataloader's with padding to the maximum."""
    from merlin.io import Dataset
    from merlin.schema import ColumnSchema, Schema, Tags
    from transformers4rec.torch.utils.data_utils import MerlinDataLoader

    schema = Schema(
        [
            ColumnSchema(
                name,
                tags=[Tags.CATEGORICAL, Tags.LIST],
                dtype=np.int64,
                is_list=True,
                is_ragged=True,
                properties={"domain": {"min": 0, "max": DOMAIN}},
            )
            for name in COLUMNS
        ]
    )

    def run() -> Any:
        dataset = Dataset(str(folder / "sessions.parquet"), engine="parquet", schema=schema)
        loader = MerlinDataLoader.from_schema(
            schema, dataset, batch_size=batch_size, max_sequence_length=LONGEST, shuffle=True
        )
        return [features for features, _ in loader]

    return run


def arrays(result: Any) -> dict[str, np.ndarray]:
    """The rows of all batches in an order that shuffling does not change."""
    rows = np.concatenate(
        [np.concatenate([_full(batch[name].numpy()) for name in COLUMNS], 1) for batch in result]
    )
    return {
        "rows": rows[np.lexsort(rows.T[:8])],
        "fullest": np.array(max(len(batch["item_id"]) for batch in result)),
    }


def _full(matrix: np.ndarray) -> np.ndarray:
    return np.pad(matrix, ((0, 0), (0, LONGEST - matrix.shape[1]))).astype(np.int64)
