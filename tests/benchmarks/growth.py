"""How cost grows with catalogue, sessions, batch, columns and files: ``python -m tests.benchmarks.growth``.

Each series runs in a fresh process on one thread, sizes rising. Writes a page with times, memory and
exponents (of size, by least squares over all points and between the last two), a plot, and the points as
JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.growth_plot import plot_growth
from tests.benchmarks.growth_series import SERIES, Series
from tests.benchmarks.machine import load, machine, versions
from tests.benchmarks.measure import ROOT, environment
from tests.benchmarks.table import seconds
from tests.benchmarks.worker import forget_peak, peak, resident

Point = tuple[int, float, int]
"""A size, seconds, and bytes over what was resident before the work was made."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    parser.add_argument("--out", type=Path, help="file for the page in Markdown; the plot lies beside it")
    parser.add_argument("--only", default="", help="series whose name or axis contains this")
    parser.add_argument("--small", action="store_true", help="small sizes, to try it out")
    parser.add_argument("--series", type=int, help="one series, in this process; prints its points")
    given = parser.parse_args()
    if given.series is not None:
        sys.stdout.write(json.dumps(points(SERIES[given.series], small=given.small)))
        return
    before, found = load(), []
    for number, series in enumerate(SERIES):
        if given.only in series.name or given.only in series.axis:
            own = _in_fresh_process(number, small=given.small)
            found.append((series, own))
            sys.stdout.write("\n".join(_rows(series, own)) + "\n")
            sys.stdout.flush()
    if given.out and found:
        plot = given.out.with_suffix(".png")
        plot_growth(found, plot)
        given.out.with_suffix(".json").write_text(json.dumps({series.name: own for series, own in found}))
        head = [
            "# How cost grows",
            "",
            "One thread, process time, made by `make growth`. Memory is the peak over what was resident",
            "before the work was made, its tables included. Exponents are of the size: over all points, and",
            "between the last two.",
            "",
            f"- machine: {machine()}",
            f"- load (1 / 15 minutes): {before} at the start, {load()} at the end",
            f"- {versions(sys.executable)}",
            "",
            f"![time and memory by size]({plot.name})",
            "",
        ]
        rows = [row for series, own in found for row in _rows(series, own)]
        given.out.write_text("\n".join([*head, *HEAD, *rows, ""]))


HEAD = (
    "| work | grows | sizes | time | exponent: all / last | memory | exponent: last |",
    "|---|---|---|---|---|---|---|",
)


def points(series: Series, *, small: bool) -> list[Point]:
    """Measures a series in this process."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        # What the libraries load at their first use is not what is measured.
        series.make(series.small[0], Path(folder))()
        return [_measured(series, size, Path(folder)) for size in (series.small if small else series.sizes)]


def _measured(series: Series, size: int, folder: Path) -> Point:
    before = resident()
    forget_peak()
    work = series.make(size, folder)
    times = []
    for _ in range(series.rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return size, min(times), max(peak() - before, 0)


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The power p of ``value ~ size ** p`` that fits best, by least squares of the logarithms."""
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in values]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean_x) ** 2 for a in x)


def _in_fresh_process(number: int, *, small: bool) -> list[Point]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.growth", "--series", str(number)]
    done = subprocess.run(
        [*command, *(["--small"] if small else [])],
        cwd=ROOT,
        env=environment(),
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{SERIES[number].name} failed:\n{done.stderr[-3000:]}")
    return [(size, took, held) for size, took, held in json.loads(done.stdout.splitlines()[-1])]


def _rows(series: Series, own: Sequence[Point]) -> list[str]:
    sizes, times, held = zip(*own, strict=True)
    both = f"{exponent(sizes, times):.2f} / {exponent(sizes[-2:], times[-2:]):.2f}"
    memory = power = ""
    if series.memory:
        memory = ", ".join(f"{value / 1e6:.0f}" for value in held) + " MB"
        power = f"{exponent(sizes[-2:], held[-2:]):.2f}" if min(held[-2:]) > 2**20 else ""
    cells = (
        series.name,
        series.axis,
        ", ".join(f"{size:,}" for size in sizes),
        ", ".join(seconds(value) for value in times),
        both,
        memory,
        power,
    )
    return [f"| {' | '.join(cells)} |"]


if __name__ == "__main__":
    main()
