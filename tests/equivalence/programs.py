"""Runs a whole unmodified program with several seeds, under whichever interpreter runs this.

``python -m tests.equivalence.programs DATA OUT MASKING`` writes OUT, a JSON list with, for each seed, the
metrics that the program wrote of its last window.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import runpy
import sys
import tempfile
from pathlib import Path

from tests.equivalence.make_data import Sessions, write_windows

PROGRAM = Path(__file__).parents[1] / "compat" / "programs" / "getting_started.py"
SEEDS = (11, 12, 13, 14, 15)
EPOCHS = 4


def write_data(folder: Path) -> Path:
    """Data on which training comes to rest within the few steps that a test has time for."""
    sessions = Sessions(items=40, categories=4, shortest=18, structure=1.0)
    return write_windows(folder, sessions, train=1000, valid=600, seed=100)


def run(data: Path, masking: str, *, seed: int, epochs: int = EPOCHS) -> dict[str, float]:
    """The program, as from its command line; the metrics of its last window."""
    with tempfile.TemporaryDirectory() as out:
        arguments = ["--data-dir", str(data), "--output-dir", out, "--masking", masking]
        arguments += ["--epochs", str(epochs), "--seed", str(seed)]
        before = sys.argv
        sys.argv = [str(PROGRAM), *arguments]
        try:
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                runpy.run_path(str(PROGRAM), run_name="__main__")
        finally:
            sys.argv = before
        windows = json.loads((Path(out) / "metrics.json").read_text())
    return windows[max(windows, key=int)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("masking", choices=["mlm", "causal"])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args()
    results = [run(given.data, given.masking, seed=seed, epochs=given.epochs) for seed in SEEDS]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(results, indent=2))
