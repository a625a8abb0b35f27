"""The getting-started program on public sessions: Transformers4Rec's, and ours in the new API.

All train on the same sessions and are judged alike: by what ``predict`` answers to the test sessions without
their last item, which is the target. Each runs in one fresh process, imports included, ours where the core
alone is installed: Transformers4Rec with masking "mlm", beside ours with ``masking="random"`` (the same idea)
for one epoch and for as many, and beside ours with its defaults for one epoch. In so few epochs
Transformers4Rec learns little; so the latter also stands beside more of its epochs, whose answers are still
no better.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.benchmarks.measure import ROOT, environment
from tests.benchmarks.table import Line

DIGINETICA = ROOT.parent / "shared/data/diginetica"
TRAIN, TEST, LENGTH, K = 20_000, 5_000, 20, 20
SPEED = 6


class Run(NamedTuple):
    """Masking and epochs of a run."""

    masking: str
    epochs: int


PAIRS = (
    (Run("mlm", 3), Run("random", 1)),
    (Run("mlm", 3), Run("random", 3)),
    (Run("mlm", 3), Run("causal", 1)),
    (Run("mlm", 10), Run("causal", 1)),
)


def new_api_lines(folder: Path, pythons: Mapping[str, str]) -> list[Line]:
    """Time from start to end and NDCG@20 of both sides; no line where there is no such data.

    Args:
        folder: of train.txt.gz and test.txt.gz, a session a line.
        pythons: interpreter of each side, "legacy" and "ours".
    """
    if not (folder / "train.txt.gz").exists():
        sys.stderr.write(f"new-api: skipped, as {folder} holds no train.txt.gz\n")
        return []
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary)
        items, targets = _write(folder, data)
        taken = {}
        for before, after in PAIRS:
            for side, run in (("legacy", before), ("ours", after)):
                if (side, run) not in taken:
                    taken[side, run] = _run(side, run, data, targets, pythons[side])
        lines = []
        for before, after in PAIRS:
            legacy, ours = taken["legacy", before], taken["ours", after]
            title = f"new API, {after.masking}, epochs {after.epochs}, "
            title += f"and T4Rec, {before.masking}, epochs {before.epochs}; {items:,} items"
            cells = (f"{legacy[0]:.1f} s", f"{ours[0]:.1f} s")
            figures = (f"{legacy[1]:.4f}", f"{ours[1]:.4f}")
            lines.append(Line(title, "with imports", cells, legacy[0] / ours[0], promised=SPEED))
            lines.append(Line("", f"NDCG@{K} of predict", figures, ours[1] / legacy[1], promised=1))
    return lines


def _run(side: str, run: Run, data: Path, targets: np.ndarray, python: str) -> tuple[float, float]:
    """Process seconds and NDCG of one run."""
    command = [python, "-W", "ignore", "-m", "tests.benchmarks.new_api_program", side, str(data)]
    done = subprocess.run(
        [*command, run.masking, str(run.epochs), str(LENGTH), str(K)],
        cwd=ROOT,
        env=environment(),
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the program failed under {python}:\n{done.stderr[-3000:]}")
    seconds: float = json.loads(done.stdout.splitlines()[-1])["seconds"]
    return seconds, _ndcg(np.load(data / f"{side}.npy"), targets)


def _write(folder: Path, data: Path) -> tuple[int, np.ndarray]:
    """The last training sessions, and test sessions without their last item; items, and (N,) these last."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from merlin_models_torch.schema import ColumnSchema, Schema, Tags

    train = _sessions(folder / "train.txt.gz")[-TRAIN:]
    test = [session for session in _sessions(folder / "test.txt.gz") if len(session) > 1][:TEST]
    # Rows of the catalogue from 1, for the items that training shows; targets are of these.
    known = {item: row for row, item in enumerate(sorted({i for session in train for i in session}), start=1)}
    rows = [[known[item] for item in session if item in known] for session in test]
    rows = [session for session in rows if len(session) > 1]
    for name, sessions in (
        ("train", [[known[item] for item in session] for session in train]),
        ("test", [session[:-1] for session in rows]),
    ):
        pq.write_table(
            pa.table({"item_id": pa.array(sessions, pa.list_(pa.int64()))}), data / f"{name}.parquet"
        )
    Schema(
        [
            ColumnSchema(
                "item_id",
                tags=[Tags.ITEM_ID, Tags.ITEM, Tags.CATEGORICAL, Tags.LIST, Tags.SEQUENCE],
                dtype="int64",
                is_list=True,
                is_ragged=True,
                properties={
                    "domain": {"min": 0, "max": len(known), "name": "item_id"},
                    "value_count": {"min": 1, "max": max(map(len, train))},
                },
            )
        ]
    ).save(data / "schema.pbtxt")
    return len(known), np.array([session[-1] for session in rows])


def _sessions(path: Path) -> list[list[int]]:
    with gzip.open(path, "rt") as file:
        return [[int(item) for item in row.split()] for row in file if row.strip()]


def _ndcg(answers: np.ndarray, targets: np.ndarray) -> float:
    """Mean over (N,) targets of their gain in (N, K) answers."""
    found = answers == targets[:, None]
    gains = 1 / np.log2(np.arange(answers.shape[1]) + 2)
    return float((found * gains).sum(1).mean())
