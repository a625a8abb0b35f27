"""Small session data that both sides of the comparison read: parquet windows and a schema.pbtxt.

Runs under either interpreter: numpy and pyarrow only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Sessions:
    """How sessions are drawn: they walk through the items of a category, one to three steps ahead each time.

    Args:
        items: real items, with ids from 1; item ``i`` is of category ``(i - 1) % categories + 1``.
        categories: of the items, with ids from 1.
        shortest: items in the shortest session.
        longest: items in the longest session.
        structure: chance that an item follows from the one before; with 0 every item is drawn evenly.
        labels: also a session's ``bought`` (0 or 1, mostly by its category) and ``spent`` (mean of prices).
    """

    items: int = 200
    categories: int = 10
    shortest: int = 2
    longest: int = 20
    structure: float = 0.9
    labels: bool = False

    def draw(self, rows: int, *, seed: int) -> pa.Table:
        """List columns ``item_id``, ``category`` (int64), ``age_days`` (float32) and ``price`` (float64)."""
        rng = np.random.default_rng(seed)
        lengths = rng.integers(self.shortest, self.longest + 1, rows)
        lengths[:2] = self.shortest, self.longest  # both in the first batch, whatever is drawn
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        total = offsets[-1]
        items = rng.integers(1, self.items + 1, total)
        follows = rng.random(total) < self.structure
        follows[offsets[:-1]] = False
        steps = rng.integers(1, 4, total)
        for place in np.flatnonzero(follows):
            items[place] = (items[place - 1] - 1 + steps[place] * self.categories) % self.items + 1
        columns = {
            "item_id": items.astype(np.int64),
            "category": ((items - 1) % self.categories + 1).astype(np.int64),
            "age_days": rng.random(total).astype(np.float32),
            "price": (items / self.items * 0.5 + rng.random(total) * 0.5).astype(np.float64),
        }
        table = {name: _lists(offsets, values) for name, values in columns.items()}
        if self.labels:
            likely = np.where(columns["category"][offsets[:-1]] % 2 == 1, 0.9, 0.1)
            table["bought"] = pa.array((rng.random(rows) < likely).astype(np.int64))
            means = np.add.reduceat(columns["price"], offsets[:-1]) / lengths
            table["spent"] = pa.array(means.astype(np.float32))
        return pa.table(table)

    def schema(self) -> str:
        """The text of ``schema.pbtxt``."""
        return "".join(
            [
                _feature("item_id", "INT", self.items, ["item_id", "item", "list", "categorical"]),
                _feature("category", "INT", self.categories, ["item", "list", "categorical"]),
                _feature("age_days", "FLOAT", 1, ["item", "list", "continuous"]),
                _feature("price", "FLOAT", 1, ["item", "list", "continuous"]),
                *(
                    [
                        _feature("bought", "INT", 1, ["target", "binary_classification"], is_list=False),
                        _feature("spent", "FLOAT", 1, ["target", "regression"], is_list=False),
                    ]
                    if self.labels
                    else []
                ),
            ]
        )


def _lists(offsets: np.ndarray, values: np.ndarray) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values))


def _feature(name: str, kind: str, largest: int, tags: list[str], *, is_list: bool = True) -> str:
    domain = "int_domain" if kind == "INT" else "float_domain"
    categorical = " is_categorical: true" if kind == "INT" and is_list else ""
    count = "\n  value_count { min: 1 max: 30 }" if is_list else ""
    annotation = " ".join(f'tag: "{tag}"' for tag in tags)
    return f"""\
feature {{
  name: "{name}"{count}
  type: {kind}
  {domain} {{ name: "{name}" min: 0 max: {largest}{categorical} }}
  annotation {{ {annotation} }}
}}
"""


def shortened(table: pa.Table) -> pa.Table:
    """The same sessions without their last item."""
    columns = {}
    for name in table.column_names:
        array = table[name].combine_chunks()
        offsets = np.asarray(array.offsets)
        keep = np.ones(offsets[-1], bool)
        keep[offsets[1:] - 1] = False
        columns[name] = _lists(offsets - np.arange(len(offsets)), np.asarray(array.values)[keep])
    return pa.table(columns)


def write_windows(
    folder: Path,
    sessions: Sessions | None = None,
    *,
    windows: int = 2,
    train: int = 640,
    valid: int = 200,
    seed: int = 0,
) -> Path:
    """Writes ``schema.pbtxt`` and, for each window, ``train.parquet`` and ``valid.parquet``.

    Args:
        folder: where to; made if needed.
        sessions: how they are drawn.
        windows: number of time windows, in folders named 1, 2 and so on.
        train: training sessions in each.
        valid: validation sessions in each; no multiple of the batch size, so that the last batch is short.
        seed: of the sessions; every file has its own.

    Returns:
        The folder.
    """
    sessions = sessions or Sessions()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schema.pbtxt").write_text(sessions.schema())
    for window in range(1, windows + 1):
        inside = folder / str(window)
        inside.mkdir(exist_ok=True)
        pq.write_table(sessions.draw(train, seed=seed + 2 * window), inside / "train.parquet")
        pq.write_table(sessions.draw(valid, seed=seed + 2 * window + 1), inside / "valid.parquet")
    return folder


def write_observed_data(folder: Path) -> Path:
    """The data of the exact arm: rows of one item, rows too long for a model of 20, a short last batch.

    Args:
        folder: of the recording; the data goes to ``folder/data``.
    """
    sessions = Sessions(shortest=1, longest=26)
    return write_windows(folder / "data", sessions, windows=1, train=20 * 32, valid=5 * 32 + 7)
