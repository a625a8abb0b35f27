"""Whole programs, unchanged, on Transformers4Rec and on the drop-in.

Each side runs in fresh processes, in turns; the least of the rounds counts. That both give the same metrics
is what ``make equivalence`` tests.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measure import ROOT, environment
from tests.benchmarks.table import Line, line
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
        rounds: times that each side runs.
        speed: how many times faster training and evaluation should be.
        whole: the same, imports included, if that was promised.
        arguments: further ones of the program's command line.
    """

    program: str
    items: int = 1_000
    train: int = 2_000
    epochs: int = 2
    rounds: int = 1
    speed: float = 1.0
    whole: float | None = None
    arguments: tuple[str, ...] = ()


# The catalogue and the batches of Transformers4Rec's example on Yoochoose.
_YOOCHOOSE = ("--batch-size", "384", "--eval-batch-size", "512")
LOADS = (
    *(Load(name) for name in PROGRAMS),
    Load("getting-started-mlm", items=10_000, train=6_000, epochs=1),
    Load("getting-started-mlm", items=40_000, train=6_000, epochs=1),
    Load(
        "getting-started-mlm",
        items=52_741,
        train=12_288,
        epochs=1,
        speed=3,
        whole=3,
        arguments=_YOOCHOOSE,
    ),
)


def measure(load: Load, pythons: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Seconds of imports and run, of each side."""
    best: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        sessions = Sessions(items=load.items, categories=20, labels=True)
        data = write_windows(Path(temporary), sessions, train=load.train, valid=load.train // 4)
        for _ in range(load.rounds):
            for side, python in pythons.items():
                command = [python, "-W", "ignore", "-m", "tests.benchmarks.program"]
                command += [load.program, str(data), str(load.epochs), *load.arguments]
                done = subprocess.run(
                    command, cwd=ROOT, env=environment(), text=True, capture_output=True, check=False
                )
                if done.returncode:
                    raise RuntimeError(f"{load.program} failed under {python}:\n{done.stderr[-3000:]}")
                seconds = json.loads(done.stdout)
                before = best.setdefault(side, seconds)
                best[side] = {key: min(value, before[key]) for key, value in seconds.items()}
    return best


def program_lines(load: Load, pythons: Mapping[str, str]) -> list[Line]:
    """Lines of the table: training and evaluation, and with the imports.

    Args:
        load: what to run.
        pythons: interpreter of each side, "legacy" and "ours".
    """
    best = measure(load, pythons)
    run = [best[side]["run"] for side in ("legacy", "ours")]
    whole = [sum(best[side].values()) for side in ("legacy", "ours")]
    title = " ".join([f"{load.program}, {load.items:,} items", *load.arguments])
    return [
        line(title, "train and evaluate", _cells(run), run[0] / run[1], load.speed),
        line("", "with imports", _cells(whole), whole[0] / whole[1], load.whole),
    ]


def _cells(values: list[float]) -> tuple[str, str]:
    legacy, ours = values
    return f"{legacy:.1f} s", f"{ours:.1f} s"
