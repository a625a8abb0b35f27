"""Two processes learn and measure what one does with all their rows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[3]


def run(out: Path, processes: int, kind: str) -> dict[str, torch.Tensor]:
    """Weights and figures of the program."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    program = [sys.executable, "-m", "tests.unit.training.ddp_program", str(out), str(processes), kind]
    done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    # A thread of the process group that is left when Python shuts down may abort the process.
    assert [Path(f"{out}-threads-{rank}").read_text() for rank in range(processes)] == [""] * processes
    return load_file(out)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "empty", "sparse", "sharded"])
def test_two_processes_equal_one_with_the_joined_batch(kind: str, tmp_path: Path) -> None:
    one, two = run(tmp_path / "one", 1, kind), run(tmp_path / "two", 2, kind)
    assert one.keys() == two.keys() >= {"test_loss", "test_recall_at_5"}
    for name, value in one.items():
        torch.testing.assert_close(
            two[name], value, atol=1e-5, rtol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
        )
