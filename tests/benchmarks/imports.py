"""How long the package takes to import, over what it needs anyway."""

from __future__ import annotations

import subprocess

from tests.benchmarks.measure import ROOT, environment

CODE = (
    "from tests.benchmarks.hidden import hide\nhide('matplotlib')\nimport time\n"
    "import {first}\nt = time.process_time()\n{then}\nprint(time.process_time() - t)"
)


def seconds_to_import(python: str, first: str, then: str, *, rounds: int = 5) -> list[float]:
    """Process time of a statement after ``import first``, in some fresh processes."""
    command = [python, "-W", "ignore", "-c", CODE.format(first=first, then=then)]
    times = []
    for _ in range(rounds):
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(),
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        times.append(float(done.stdout.splitlines()[-1]))
    return times
