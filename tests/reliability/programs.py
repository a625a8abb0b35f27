"""Programs of these tests that run in a process of their own, since what they do may end it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def told_by(program: str, folder: Path, *arguments: str, **environment: str) -> Any:
    """What a program of this folder prints as JSON.

    Args:
        program: its module's name.
        folder: for it to work in.
        arguments: further ones.
        environment: variables besides those that are set, and one thread.
    """
    done = subprocess.run(
        [sys.executable, "-m", f"tests.reliability.{program}", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
