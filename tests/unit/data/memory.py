"""What a fresh process runs in ``test_memory``: ``python -m tests.unit.data.memory FOLDER``.

Prints by how many bytes the peak of resident memory has grown after each way to read eight times the rows.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import merlin_models_torch as mm
from merlin_models_torch.schema import ColumnSchema, Schema, Tags

POSITIONS = 400
GROUP = 250
ITEMS = 50
LIMIT = 8 * 2**20
# Bytes of a row group: two list columns of eight bytes a position.
GROUP_BYTES = GROUP * POSITIONS * 16
SMALL, LARGE = 20, 160


def write(path: Path, groups: int) -> None:
    """Sessions of 400 items with a number each, in row groups of 1.6 MB."""
    rng = np.random.default_rng(0)
    offsets = pa.array(np.arange(GROUP + 1, dtype=np.int32) * POSITIONS)
    table = pa.table(
        {
            "session_id": pa.array(np.arange(GROUP)),
            "item_id": pa.ListArray.from_arrays(offsets, rng.integers(1, ITEMS, GROUP * POSITIONS)),
            "price": pa.ListArray.from_arrays(offsets, rng.random(GROUP * POSITIONS)),
        }
    )
    with pq.ParquetWriter(path, table.schema, compression="none") as writer:
        for _ in range(groups):
            writer.write_table(table)


def schema() -> Schema:
    """Of these sessions."""
    domain = {"domain": {"min": 0, "max": ITEMS}}
    items = [Tags.ITEM_ID, Tags.CATEGORICAL, Tags.SEQUENCE]
    return Schema(
        [
            ColumnSchema("session_id", [Tags.SESSION_ID], dtype="int64"),
            ColumnSchema("item_id", items, domain, "int64", is_list=True),
            ColumnSchema("price", [Tags.CONTINUOUS, Tags.SEQUENCE], dtype="float32", is_list=True),
        ]
    )


def read(path: Path, **options: object) -> None:
    """Every batch of a loader."""
    loader = mm.ParquetLoader(path, schema(), batch_size=128, **options)  # type: ignore[arg-type]
    assert sum(len(batch) for batch in loader) == pq.read_metadata(path).num_rows


def train(path: Path) -> None:
    """The training rows of a prepared folder, as a Lightning Trainer gets them."""
    folder = path.with_suffix("")
    if not folder.exists():
        events = pa.table({"user": [0, 0, 1, 1], "item": [1, 2, 3, 1], "time": [0, 1, 2, 3]})
        mm.data.sessions_from_events(events, folder, user="user", item="item", time="time", split=None)
    files = dataclasses.replace(mm.data.SessionFiles.load(folder), train=(path,), schema=schema())
    module = mm.SessionDataModule(files, batch_size=128, memory_limit=LIMIT, bucket=4)
    assert sum(len(batch) for batch in module.train_dataloader()) == pq.read_metadata(path).num_rows


def answer(path: Path) -> None:
    """Answers in a file."""
    inputs = mm.TabularInputBlock(schema(), embedding_dim=8, masking=mm.CausalMasking())
    model = mm.Model(inputs, mm.MLPBlock([8]), mm.CategoricalOutput(weight_tying=True))
    loader = mm.ParquetLoader(path, schema(), batch_size=128, max_sequence_length=5, memory_limit=LIMIT)
    out = model.predict_to_parquet(loader, path.with_suffix(".answers"), k=10, progress=False)
    assert pq.read_metadata(out / path.name).num_rows == pq.read_metadata(path).num_rows


STREAMED: dict[str, Callable[[Path], None]] = {
    "in order": lambda path: read(path, memory_limit=LIMIT),
    "shuffled": lambda path: read(path, memory_limit=LIMIT, shuffle=True, padded=True),
    "module": train,
    "predict_to_parquet": answer,
}


def main() -> None:
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    for way in STREAMED.values():
        way(folder / f"{SMALL}.parquet")
    before, growth = peak(), {}
    for name, way in STREAMED.items():
        way(folder / f"{LARGE}.parquet")
        growth[name] = peak() - before
    read(folder / f"{LARGE}.parquet", memory_limit=2**30)
    growth["held"] = peak() - before
    sys.stdout.write(json.dumps(growth))


def peak() -> int:
    """The most bytes that were resident so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
