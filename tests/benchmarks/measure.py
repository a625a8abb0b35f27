"""Both arms of a row: in turns for time, each alone for memory, and their results compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
ARMS = ("legacy", "ours")
_MANY = 5


@dataclass(frozen=True)
class Row:
    """A stage to be measured.

    Args:
        title: what the table calls it.
        module: of tests.benchmarks.rows.
        size: arguments of its functions.
        rounds: times that each arm runs; the best counts.
        steps: calls of each round, whose mean counts: of what is called again and again in use.
        speed: how many times faster than Transformers4Rec it should be, if that was promised.
        memory: how many times smaller; 0 if it is measured but nothing was promised, None if not measured.
        tolerance: relative to the largest number, within which the results must agree.
        together: both arms in one process of our environment, the legacy way written out in torch.
    """

    title: str
    module: str
    size: Mapping[str, int | bool]
    rounds: int = 7
    steps: int = 1
    speed: float | None = None
    memory: float | None = None
    tolerance: float = 0.0
    together: bool = False


@dataclass
class Result:
    """Seconds of each round and extra bytes of both arms."""

    row: Row
    seconds: dict[str, list[float]] = field(default_factory=dict)
    bytes: dict[str, float] = field(default_factory=dict)


class Disagreement(Exception):
    """The arms do not give the same: their speeds cannot be compared."""


def measure(row: Row, pythons: Mapping[str, str]) -> Result:
    """Runs both arms.

    Args:
        row: what to run.
        pythons: interpreter of each arm.

    Raises:
        Disagreement: if the arms give different results.
    """
    result = Result(row)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with worker(row, "prepare", folder, pythons["ours"]):
            pass
        if row.memory is not None:
            for arm in ARMS:
                with worker(row, arm, folder, pythons[arm]) as process:
                    result.bytes[arm] = ask(process, f"memory {arm}")
        with ExitStack() as stack:
            if row.together:
                shared = stack.enter_context(worker(row, "plain,ours", folder, pythons["ours"]))
                both = {"legacy": (shared, "plain"), "ours": (shared, "ours")}
            else:
                both = {
                    arm: (stack.enter_context(worker(row, arm, folder, pythons[arm])), arm) for arm in ARMS
                }
            # The first of many rounds is slower than the others, and would be all that their spread tells of.
            unheard = int(row.rounds >= _MANY)
            for number in range(row.rounds + unheard):
                for arm, (process, name) in both.items():
                    seconds = ask(process, f"time {name} {row.steps}")
                    if number >= unheard:
                        result.seconds.setdefault(arm, []).append(seconds)
            for arm, (process, name) in both.items():
                ask(process, f"save {name} {folder / arm}.npz")
        _compare(row, folder)
    return result


def environment() -> dict[str, str]:
    """One thread everywhere, no accelerator, and bytecode kept.

    pip compiles what it installs; sources of this repository are compiled anew each time unless Python may
    write what it compiled.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **dict.fromkeys(names, "1"), "CUDA_VISIBLE_DEVICES": "", "PYTHONHASHSEED": "0"}


@contextmanager
def worker(row: Row, arms: str, folder: Path, python: str) -> Iterator[subprocess.Popen[str]]:
    """The process of some arms; it ends with the context."""
    command = [
        python,
        "-m",
        "tests.benchmarks.worker",
        f"tests.benchmarks.rows.{row.module}",
        arms,
        str(folder),
    ]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [*command, json.dumps(dict(row.size))],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield process
        finally:
            # Closes its input, which ends it.
            process.communicate()
            if process.returncode:
                errors.seek(0)
                sys.stderr.write(errors.read()[-4000:])
                raise RuntimeError(f"{row.title}: the arm {arms!r} failed under {python}, see above")


def ask(process: subprocess.Popen[str], command: str) -> float:
    """The worker's answer to one command."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the worker has no pipes")
    process.stdin.write(command + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the worker ended while it should {command.split()[0]}")
    return float(json.loads(line))


def _compare(row: Row, folder: Path) -> None:
    legacy, ours = (np.load(folder / f"{arm}.npz") for arm in ARMS)
    for name in legacy.files:
        expected, found = legacy[name], ours[name]
        if expected.shape != found.shape:
            raise Disagreement(f"{row.title}: {name} has shapes {expected.shape} and {found.shape}")
        if np.issubdtype(expected.dtype, np.integer):
            wrong = int((expected != found).sum())
        else:
            limit = row.tolerance * float(np.abs(expected).max())
            wrong = int((np.abs(expected - found) > limit).sum())
        if wrong:
            raise Disagreement(f"{row.title}: {wrong} of {expected.size} values of {name} differ")
