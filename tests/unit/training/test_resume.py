"""A run that was killed in the middle and resumed ends with the weights of one that never was, bit by bit."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from tests.unit.sessions import session_table

ROOT = Path(__file__).parents[3]


def start(kind: str, folder: Path, how: str) -> subprocess.Popen[str]:
    """Starts the program."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", "tests.unit.training.resume_program", kind, str(folder), how]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        program, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


def finish(process: subprocess.Popen[str]) -> None:
    """Waits for its end, which is to be a good one."""
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-3000:]


def kill_when_ready(process: subprocess.Popen[str]) -> None:
    """Kills it where it waits."""
    assert process.stdout is not None
    line = process.stdout.readline()
    process.kill()
    _, errors = process.communicate(timeout=240)
    assert line == "ready\n", errors[-3000:]
    assert process.returncode == -9


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dense", "sparse contrastive streamed"])
def test_a_killed_run_ends_as_one_never_stopped(kind: str, tmp_path: Path) -> None:
    # Six steps an epoch, a checkpoint every four: in the middle of the first epoch, and of the second.
    pq.write_table(session_table(24), tmp_path / "data.parquet", row_group_size=5)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run = start(kind, whole, "whole")
    # Right after a checkpoint; then, resumed, between the next checkpoint and the one after.
    kill_when_ready(start(kind, killed, "kill at 4"))
    kill_when_ready(start(kind, killed, "resume, kill at 11"))
    finish(run)
    assert not (killed / "weights").exists()
    finish(start(kind, killed, "resume"))
    expected, resumed = load_file(whole / "weights"), load_file(killed / "weights")
    assert expected.keys() == resumed.keys()
    for name, weight in expected.items():
        assert torch.equal(weight, resumed[name]), name
