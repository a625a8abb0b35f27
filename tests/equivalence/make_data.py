"""Small session data that both sides of the comparison read: parquet windows and a schema.pbtxt.

Runs under either interpreter: numpy and pyarrow only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ITEMS = 200
CATEGORIES = 20

SCHEMA = f"""\
feature {{
  name: "item_id"
  value_count {{ min: 2 max: 30 }}
  type: INT
  int_domain {{ name: "item_id" min: 0 max: {ITEMS} is_categorical: true }}
  annotation {{ tag: "item_id" tag: "item" tag: "list" tag: "categorical" }}
}}
feature {{
  name: "category"
  value_count {{ min: 2 max: 30 }}
  type: INT
  int_domain {{ name: "category" min: 0 max: {CATEGORIES} is_categorical: true }}
  annotation {{ tag: "item" tag: "list" tag: "categorical" }}
}}
feature {{
  name: "age_days"
  value_count {{ min: 2 max: 30 }}
  type: FLOAT
  float_domain {{ name: "age_days" min: 0 max: 1 }}
  annotation {{ tag: "item" tag: "list" tag: "continuous" }}
}}
feature {{
  name: "price"
  value_count {{ min: 2 max: 30 }}
  type: FLOAT
  float_domain {{ name: "price" min: 0 max: 1 }}
  annotation {{ tag: "item" tag: "list" tag: "continuous" }}
}}
"""


def sessions(
    rows: int, *, seed: int, shortest: int = 2, longest: int = 20, structure: float = 0.8
) -> pa.Table:
    """Sessions that walk through the catalogue.

    Args:
        rows: number of sessions.
        seed: of everything drawn.
        shortest: items in the shortest session.
        longest: items in the longest session.
        structure: chance that an item follows from the one before; with 0 every item is drawn evenly.

    Returns:
        A table with list columns ``item_id``, ``category`` (int64), ``age_days`` (float32) and
        ``price`` (float64).
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    items = rng.integers(1, ITEMS + 1, offsets[-1])
    follows = rng.random(offsets[-1]) < structure
    follows[offsets[:-1]] = False
    steps = rng.integers(1, 4, offsets[-1])
    for place in np.flatnonzero(follows):
        items[place] = (items[place - 1] * 7 + steps[place]) % ITEMS + 1
    columns = {
        "item_id": items.astype(np.int64),
        "category": (items % CATEGORIES + 1).astype(np.int64),
        "age_days": rng.random(offsets[-1]).astype(np.float32),
        "price": (items / ITEMS * 0.5 + rng.random(offsets[-1]) * 0.5).astype(np.float64),
    }
    return pa.table(
        {
            name: pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values))
            for name, values in columns.items()
        }
    )


def shortened(table: pa.Table) -> pa.Table:
    """The same sessions without their last item."""
    columns = {}
    for name in table.column_names:
        array = table[name].combine_chunks()
        offsets = np.asarray(array.offsets)
        keep = np.ones(offsets[-1], bool)
        keep[offsets[1:] - 1] = False
        shorter = offsets - np.arange(len(offsets))
        columns[name] = pa.ListArray.from_arrays(
            pa.array(shorter, pa.int32()), pa.array(np.asarray(array.values)[keep])
        )
    return pa.table(columns)


def write_windows(
    folder: Path, *, windows: int = 2, train: int = 640, valid: int = 200, seed: int = 0, **options: float
) -> Path:
    """Writes ``schema.pbtxt`` and, for each window, ``train.parquet`` and ``valid.parquet``.

    Args:
        folder: where to; made if needed.
        windows: number of time windows, in folders named 1, 2 and so on.
        train: training sessions in each.
        valid: validation sessions in each; no multiple of the batch size, so that the last batch is short.
        seed: of the sessions; another for each file.
        **options: passed to :func:`sessions`.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schema.pbtxt").write_text(SCHEMA)
    for window in range(1, windows + 1):
        inside = folder / str(window)
        inside.mkdir(exist_ok=True)
        pq.write_table(sessions(train, seed=seed + 2 * window, **options), inside / "train.parquet")
        pq.write_table(sessions(valid, seed=seed + 2 * window + 1, **options), inside / "valid.parquet")
    return folder
