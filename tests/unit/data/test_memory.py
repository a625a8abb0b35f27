"""Files several times as large as what a process may hold stream through it, at the same memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.unit.data import memory

ROOT = Path(__file__).parents[3]
MORE = (memory.LARGE - memory.SMALL) * memory.GROUP_BYTES


def test_the_peak_does_not_grow_with_the_rows_unless_they_are_held(tmp_path: Path) -> None:
    """32 and 256 MB of sessions: four and 32 times what the loaders may hold."""
    for groups in (memory.SMALL, memory.LARGE):
        memory.write(tmp_path / f"{groups}.parquet", groups)
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.data.memory", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    growth = json.loads(done.stdout)
    # Each comes after the ones before it, so that the last of the streamed ones says it of all.
    assert growth.pop("held") > MORE
    assert set(growth) == set(memory.STREAMED)
    assert max(growth.values()) < MORE / 4
