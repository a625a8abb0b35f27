"""Measures every row and prints a table of ratios.

``python -m tests.benchmarks [--out benchmarks.md] [--only loss]`` with the interpreter of the core's
environment; ``REFERENCE_PYTHON`` or ``--reference-python`` names that of Transformers4Rec 23.12.0.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path

from tests.benchmarks.imports import seconds_to_import
from tests.benchmarks.measure import ROOT, Result, Row, measure
from tests.benchmarks.programs import LOADS, program_lines
from tests.benchmarks.table import HEAD, line, seconds

ROWS = (
    Row(
        "loader: 100k rows, 4 list columns, batch 512, padded to 40, shuffled",
        "loader",
        {"rows": 100_000, "batch_size": 512},
        rounds=2,
        speed=20,
    ),
    Row(
        "loss: 512 targets, 100k items, d 64, forward and backward",
        "loss",
        {"targets": 512, "items": 100_000},
        speed=2.8,
        memory=10,
        tolerance=1e-4,
    ),
    Row(
        "the same, both ways in torch alone, in turns in one process",
        "loss",
        {"targets": 512, "items": 100_000},
        speed=2.8,
        tolerance=1e-4,
        together=True,
    ),
    Row(
        "the same with products in bfloat16, each in its own process",
        "loss",
        {"targets": 512, "items": 100_000, "bf16": True},
        speed=4.5,
        memory=10,
        tolerance=2e-2,
    ),
    Row(
        "loss: 512 targets, 10k items",
        "loss",
        {"targets": 512, "items": 10_000},
        rounds=40,
        speed=1.8,
        memory=0,
        tolerance=1e-4,
    ),
    Row(
        "the same, both ways in torch alone, in turns in one process",
        "loss",
        {"targets": 512, "items": 10_000},
        rounds=40,
        speed=1.8,
        tolerance=1e-4,
        together=True,
    ),
    Row(
        "recall, NDCG, MAP at 10 and 20 of 256 x 100k scores",
        "metrics",
        {"queries": 256, "items": 100_000},
        speed=8,
        memory=0,
        tolerance=1e-5,
    ),
    Row(
        "top 100 of a million items, 1 query",
        "topk",
        {"queries": 1, "items": 1_000_000},
        rounds=20,
        speed=1.3,
        memory=0,
        tolerance=1e-5,
    ),
    Row(
        "top 100 of a million items, 128 queries",
        "topk",
        {"queries": 128, "items": 1_000_000},
        rounds=3,
        speed=2.5,
        memory=0,
        tolerance=1e-5,
    ),
    Row(
        "optimiser step on a million items, d 64, every row with a gradient",
        "optimizer",
        {"items": 1_000_000},
        speed=5,
        tolerance=1e-5,
    ),
    Row(
        "training step of a million items: 512 targets, 1,000 drawn items, gradients of their rows only",
        "optimizer",
        {"items": 1_000_000, "targets": 512, "negatives": 1_000},
        speed=80,
        tolerance=1e-5,
    ),
    Row(
        "evaluation loop of the drop-in, 800 steps of 128, top 100, without the model",
        "evaluation",
        {"steps": 800, "batch_size": 128},
        rounds=2,
        speed=100,
        tolerance=1e-6,
    ),
)
IMPORT_LIMIT = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    reference = os.environ.get("REFERENCE_PYTHON", str(ROOT / ".venv/reference/bin/python"))
    parser.add_argument(
        "--reference-python", default=reference, help="interpreter with Transformers4Rec 23.12.0"
    )
    parser.add_argument("--out", type=Path, help="file for the table in Markdown")
    parser.add_argument("--only", default="", help="rows whose module or program contains this")
    arguments = parser.parse_args()
    if not Path(arguments.reference_python).exists():
        parser.error(
            f"there is no {arguments.reference_python}: build the reference environment by `make bench`"
        )
    # An absolute path that keeps the link: a resolved one would leave the virtual environment.
    pythons = {"ours": sys.executable, "legacy": os.path.abspath(arguments.reference_python)}
    lines = [*HEAD]
    _say(lines)
    for row in ROWS:
        if arguments.only in row.module:
            _say(new := _lines(measure(row, pythons)))
            lines += new
    if arguments.only in "import":
        _say(new := _import_lines(pythons))
        lines += new
    for load in LOADS:
        if arguments.only in load.program:
            _say(new := program_lines(load, pythons))
            lines += new
    if arguments.out:
        arguments.out.write_text("\n".join([*_head(), *lines, ""]))


def _lines(result: Result) -> list[str]:
    legacy, ours = result.seconds["legacy"], result.seconds["ours"]
    cells = (seconds(legacy), seconds(ours))
    lines = [line(result.row.title, "time", cells, legacy / ours, result.row.speed)]
    if result.bytes:
        # A page or two of noise must not divide by zero.
        legacy, ours = result.bytes["legacy"], max(result.bytes["ours"], 2**16)
        cells = (f"{legacy / 1e6:.0f} MB", f"{ours / 1e6:.0f} MB")
        lines.append(line("", "extra memory", cells, legacy / ours, result.row.memory))
    return lines


def _import_lines(pythons: dict[str, str]) -> list[str]:
    core = {
        "legacy": "import transformers4rec.torch",
        "ours": "import merlin_models_torch as mm; mm.Model, mm.SessionModel, mm.ParquetLoader",
    }
    # Names are loaded when they are used: a plain import would load next to nothing.
    names = "Head, MLPBlock, Model, NextItemPredictionTask, SequentialBlock, TabularSequenceFeatures, Trainer"
    arguments = "from transformers4rec.config.trainer import T4RecTrainingArguments"
    drop_in = dict.fromkeys(core, f"from transformers4rec.torch import {names}; {arguments}")
    lightning = {"legacy": "torch, pytorch_lightning", "ours": "torch, lightning"}
    trainer = dict.fromkeys(core, "torch, transformers.trainer")
    imports = (
        ("import of the core, after torch and lightning", lightning, core),
        ("import of the drop-in, after torch and Hugging Face's Trainer", trainer, drop_in),
    )
    lines = []
    for stage, first, then in imports:
        legacy, ours = (seconds_to_import(pythons[arm], first[arm], then[arm]) for arm in ("legacy", "ours"))
        word = f"{IMPORT_LIMIT} s ({'reached' if ours <= IMPORT_LIMIT else 'missed'})"
        lines.append(
            f"| {stage} | time | {seconds(legacy)} | {seconds(ours)} | {legacy / ours:.1f} | {word} |"
        )
    return lines


def _head() -> list[str]:
    return [
        "# Benchmarks",
        "",
        "Both arms on the same data, one thread, process time, the best of some rounds taken in turns; extra",
        "memory is the peak over what was resident before, in a fresh process for each arm. The results were",
        "asserted equal. Ratios are what counts: milliseconds change with the machine and what else it does.",
        "Below the imports are whole programs, unchanged, each side in one fresh process: that they give the",
        "same metrics is what `make equivalence` tests.",
        "",
        f"Python {platform.python_version()}, {platform.machine()}, made by `make bench`.",
        "",
    ]


def _say(lines: list[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
