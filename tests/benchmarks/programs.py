"""Whole programs, unchanged, on Transformers4Rec and on the drop-in.

``python -m tests.benchmarks.programs [--out programs.md] [--only NAME]``. Each side runs in fresh processes,
in turns; the least of the rounds counts. That both give the same metrics is what ``make equivalence`` tests.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measure import ROOT, environment
from tests.equivalence.make_data import Sessions, write_windows
from tests.equivalence.programs import PROGRAMS


@dataclass(frozen=True)
class Load:
    """A program and the data it gets.

    Args:
        program: of ``tests.equivalence.programs``.
        items: in the catalogue.
        train: training sessions in each of two windows.
        epochs: passes over them.
        speed: how many times faster it should be, imports included, if that was promised.
    """

    program: str
    items: int = 1_000
    train: int = 2_000
    epochs: int = 2
    speed: float | None = None


LOADS = (
    *(Load(name) for name in PROGRAMS),
    Load("getting-started-mlm", items=40_000, train=6_000, epochs=1, speed=3),
)


def measure(load: Load, pythons: Mapping[str, str], *, rounds: int = 2) -> dict[str, dict[str, float]]:
    """Seconds of imports and run, of each side."""
    best: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        sessions = Sessions(items=load.items, categories=20, labels=True)
        data = write_windows(Path(temporary), sessions, train=load.train, valid=load.train // 4)
        for _ in range(rounds):
            for side, python in pythons.items():
                command = [python, "-W", "ignore", "-m", "tests.benchmarks.program"]
                command += [load.program, str(data), str(load.epochs)]
                done = subprocess.run(
                    command, cwd=ROOT, env=environment(), text=True, capture_output=True, check=False
                )
                if done.returncode:
                    raise RuntimeError(f"{load.program} failed under {python}:\n{done.stderr[-3000:]}")
                seconds = json.loads(done.stdout)
                before = best.setdefault(side, seconds)
                best[side] = {key: min(value, before[key]) for key, value in seconds.items()}
    return best


def lines(load: Load, best: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Rows of the table: training and evaluation, and with the imports."""
    legacy, ours = best["legacy"], best["ours"]
    title = f"{load.program}, {load.items:,} items"
    whole = {side: sum(seconds.values()) for side, seconds in best.items()}
    promised = ""
    if load.speed:
        reached = whole["legacy"] / whole["ours"] >= load.speed
        promised = f"{load.speed:g} ({'reached' if reached else 'missed'})"
    return [
        f"| {title} | train and evaluate | {legacy['run']:.1f} s | {ours['run']:.1f} s "
        f"| {legacy['run'] / ours['run']:.1f} | |",
        f"| | with imports | {whole['legacy']:.1f} s | {whole['ours']:.1f} s "
        f"| {whole['legacy'] / whole['ours']:.1f} | {promised} |",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.programs", description=__doc__)
    reference = os.environ.get("REFERENCE_PYTHON", str(ROOT / ".venv/reference/bin/python"))
    parser.add_argument("--reference-python", default=reference)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="", help="programs whose name contains this")
    given = parser.parse_args()
    pythons = {"legacy": os.path.abspath(given.reference_python), "ours": sys.executable}
    table = [
        "| program | what | Transformers4Rec 23.12 | drop-in | ratio | promised |",
        "|---|---|---|---|---|---|",
    ]
    sys.stdout.write("\n".join(table) + "\n")
    for load in LOADS:
        if given.only not in load.program:
            continue
        new = lines(load, measure(load, pythons))
        table += new
        sys.stdout.write("\n".join(new) + "\n")
        sys.stdout.flush()
    if given.out:
        given.out.write_text("\n".join([*table, ""]))


if __name__ == "__main__":
    main()
