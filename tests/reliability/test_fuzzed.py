"""Damaged files of every kind are read as well as can be, or refused by an error that names the file."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PARQUET = (
    "dataset",
    "old names",
    "loader",
    "streamed",
    "predict",
    "seen",
    "events",
    "inferred",
    "vocabulary",
)
DROP_IN = ("drop-in", "drop-in weights")
TEXT = ("pbtxt", "json", "config", "weights", "manifest", "signature", "npy", "safetensors")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the program says that reads nearly a thousand damaged files."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.fuzz_program", str(tmp_path_factory.mktemp("fuzzed")), "1"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("name", [*PARQUET, *DROP_IN, *TEXT])
def test_damage_is_harmless_or_refused_by_name(name: str, outcomes: Any) -> None:
    found = outcomes[name]
    assert found["wrong"] == []
    assert found["refused"] > found["fine"] / 2
    assert found["ended"] == []
