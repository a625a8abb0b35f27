"""What a benchmark ran on: machine, and versions on both sides."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.measure import ROOT, environment

PACKAGES = (
    "torch",
    "numpy",
    "pyarrow",
    "lightning",
    "pytorch-lightning",
    "transformers",
    "transformers4rec",
    "merlin-core",
    "merlin-dataloader",
    "torchmetrics",
)
CODE = """
import platform
from importlib.metadata import PackageNotFoundError, version
found = ["Python " + platform.python_version()]
for name in {packages!r}:
    try:
        found.append(name + " " + version(name))
    except PackageNotFoundError:
        pass
print(", ".join(found))
"""


def versions(python: str) -> str:
    """Python and the packages that count of an environment."""
    done = subprocess.run(
        [python, "-c", CODE.format(packages=PACKAGES)],
        cwd=ROOT,
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def machine() -> str:
    """Processor, cores, memory and system, and how busy it is."""
    model, memory = platform.processor() or platform.machine(), ""
    cpu, info = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    if cpu.exists():
        named = [row for row in cpu.read_text().splitlines() if row.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
    if info.exists():
        memory = f", {int(info.read_text().split()[1]) / 2**20:.0f} GiB of memory"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model} ({platform.machine()}), {cores} cores{memory}, {platform.system()}"


def load() -> str:
    """Processes that wanted to run, on average of the last minute and the last quarter of an hour."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    one, _, fifteen = os.getloadavg()
    return f"{one:.1f} / {fifteen:.1f}"


def described(pythons: Mapping[str, str], before: str) -> list[str]:
    """Lines for the head of a page.

    Args:
        pythons: interpreter of each arm.
        before: :func:`load` when the run began.
    """
    return [
        f"- machine: {machine()}; one thread",
        f"- load (1 / 15 minutes): {before} at the start, {load()} at the end",
        f"- here: {versions(pythons['ours'])}",
        f"- Transformers4Rec: {versions(pythons['legacy'])}",
    ]
