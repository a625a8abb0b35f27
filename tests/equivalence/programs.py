"""Runs a whole unmodified program with several seeds, under whichever interpreter runs this.

``python -m tests.equivalence.programs DATA OUT NAME`` writes OUT, a JSON list with, for each seed, the
metrics that the program wrote.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import runpy
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.equivalence.make_data import Sessions, write_windows

FOLDER = Path(__file__).parents[1] / "compat" / "programs"
SEEDS = (11, 12, 13, 14, 15)
ITEMS = 40


def ndcg_by_chance(k: int) -> float:
    """What ranking evenly gives."""
    return sum(1 / math.log2(rank + 1) for rank in range(1, k + 1)) / (ITEMS + 1)


NDCG = {"eval_/next-item/ndcg_at_10": ndcg_by_chance(10)}
LOSS = {"eval_/loss": math.log(ITEMS + 1)}


@dataclass(frozen=True)
class Program:
    """A program of ``tests/compat/programs`` and how it is compared.

    Args:
        file: its name there, without the ending.
        chance: compared metrics, and what they are without any training.
        epochs: passes over the data; enough that training comes to rest.
        arguments: further arguments of its command line.
    """

    file: str
    chance: Mapping[str, float]
    epochs: int = 4
    arguments: tuple[str, ...] = field(default=())

    def run(self, data: Path, *, seed: int, epochs: int | None = None) -> dict[str, float]:
        """The program, as from its command line; its metrics, of the last window if there are more."""
        path = FOLDER / f"{self.file}.py"
        with tempfile.TemporaryDirectory() as out:
            given = ["--data-dir", str(data), "--output-dir", out, "--seed", str(seed)]
            given += ["--epochs", str(epochs or self.epochs), *self.arguments]
            before = sys.argv
            sys.argv = [str(path), *given]
            try:
                with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                    runpy.run_path(str(path), run_name="__main__")
            finally:
                sys.argv = before
            metrics: dict[str, Any] = json.loads((Path(out) / "metrics.json").read_text())
        last = metrics[max(metrics)]
        return last if isinstance(last, dict) else metrics


PROGRAMS = {
    "getting-started-mlm": Program("getting_started", NDCG | LOSS, 4),
    "getting-started-causal": Program("getting_started", NDCG | LOSS, 3, ("--masking", "causal")),
    "readme": Program("readme", NDCG | LOSS, 5),
    "side-information": Program(
        "side_information",
        {
            "gru indexed_by_time_eval_/next-item/ndcg@10": ndcg_by_chance(10),
            "xlnet indexed_by_time_eval_/next-item/ndcg@10": ndcg_by_chance(10),
        },
        8,
    ),
    "manual-blocks": Program(
        "manual_blocks", {"next-item/ndcg_at_10": ndcg_by_chance(10), "loss": math.log(ITEMS + 1)}, 12
    ),
    # Its other two bodies are far from rest so early: their equality is that of the exact arm.
    "search": Program("search", {"gpt2": ndcg_by_chance(10)}, 3),
    "own-trainer": Program("own_trainer", NDCG | LOSS, 2),
    "own-masking": Program("own_masking", NDCG | LOSS, 20),
    "pretrained": Program("pretrained", {**NDCG, "eval_/next-item/avg_precision_at_10": 0.071}, 4),
    "classification": Program(
        "classification",
        {
            "eval_bought/binary_classification_task/bought/binary_classification_task/binary_accuracy": 0.5,
            "eval_spent/regression_task/spent/regression_task/mean_squared_error": 0.5,
        },
        3,
    ),
    "batch-inference": Program("batch_inference", {"recall": 10 / (ITEMS + 1)}, 4),
}
# Also run with one epoch: too little training has to be told apart.
SHORTENED = ("getting-started-mlm", "getting-started-causal", "side-information")


def write_data(folder: Path) -> Path:
    """Data on which training comes to rest within the few steps that a test has time for."""
    sessions = Sessions(items=ITEMS, categories=4, shortest=18, structure=1.0, labels=True)
    return write_windows(folder, sessions, train=1000, valid=600, seed=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("name", choices=PROGRAMS)
    parser.add_argument("--epochs", type=int)
    given = parser.parse_args()
    program = PROGRAMS[given.name]
    results = [program.run(given.data, seed=seed, epochs=given.epochs) for seed in SEEDS]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(results, indent=2))
