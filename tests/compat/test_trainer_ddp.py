"""Two processes on one machine, by gloo, against one."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]


def seen(out: Path, processes: int, rows: int) -> dict[str, torch.Tensor]:
    """What the program leaves, run in one process or several."""
    out.mkdir()
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    program = ["-m", "tests.compat.ddp_program", str(out), str(rows)]
    command = [sys.executable, *(launch if processes > 1 else []), *program]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'compat'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    environment["ACCELERATE_USE_CPU"] = "true"
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    # A thread of the process group that is left when Python shuts down may abort the process.
    assert [(out / f"threads-{rank}").read_text() for rank in range(processes)] == [""] * processes
    return load_file(out / "seen.safetensors")


def test_two_processes_train_evaluate_and_predict_as_one(tmp_path: Path) -> None:
    one, two = seen(tmp_path / "one", 1, 16), seen(tmp_path / "two", 2, 8)
    rows_one, rows_two = (
        sorted(row.sort().values.tolist() for row in side.pop("items")) for side in (one, two)
    )
    scores_one, scores_two = (side.pop("scores") for side in (one, two))
    assert rows_two == rows_one
    assert scores_two.shape == scores_one.shape == (16, 3)
    torch.testing.assert_close(scores_two.sort(0).values, scores_one.sort(0).values)
    assert set(two) == set(one)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
