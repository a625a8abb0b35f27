"""Measures every row, prints a table of ratios and draws it.

``python -m tests.benchmarks [--out benchmarks.md] [--only loss,topk]`` with the interpreter of the modern
environment; ``REFERENCE_PYTHON`` or ``--reference-python`` names that of Transformers4Rec 23.12.0, and
``CORE_PYTHON`` or ``--core-python`` one with the core and nothing else, in which programs of the new API run.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.imports import seconds_to_import
from tests.benchmarks.machine import described, load
from tests.benchmarks.measure import ROOT, Result, Row, measure
from tests.benchmarks.new_api import DIGINETICA, new_api_lines
from tests.benchmarks.plot import plot_ratios
from tests.benchmarks.programs import LOADS, program_lines
from tests.benchmarks.table import HEAD, Line, times

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
        steps=10,
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
        steps=3,
        speed=5,
        tolerance=1e-5,
    ),
    Row(
        "training step of a million items: 512 targets, 1,000 drawn items, gradients of their rows only",
        "optimizer",
        {"items": 1_000_000, "targets": 512, "negatives": 1_000},
        steps=4,
        speed=80,
        tolerance=1e-5,
    ),
    Row(
        "training step of the drop-in: XLNet, 128 sessions of 20, dropout .3, 10k items",
        "step",
        {"items": 10_000, "batch_size": 128},
        steps=4,
        speed=1.5,
        tolerance=1e-4,
    ),
    Row(
        "the same, 100k items",
        "step",
        {"items": 100_000, "batch_size": 128},
        steps=2,
        speed=2.5,
        tolerance=1e-4,
    ),
    Row(
        "evaluation loop of the drop-in, 800 steps of 128, top 100, without the model",
        "evaluation",
        {"steps": 800, "batch_size": 128},
        rounds=2,
        # After a pause of half a minute the first touch of memory takes as long as all else.
        steps=3,
        speed=100,
        tolerance=1e-6,
    ),
    Row(
        "evaluation of the drop-in as a whole: XLNet, 10k items, 800 steps of 128, top 100, metrics",
        "whole_evaluation",
        {"steps": 800, "batch_size": 128},
        rounds=1,
        speed=3,
        tolerance=1e-4,
    ),
)
IMPORT_LIMIT = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    reference = os.environ.get("REFERENCE_PYTHON", str(ROOT / ".venv/reference/bin/python"))
    parser.add_argument(
        "--reference-python", default=reference, help="interpreter with Transformers4Rec 23.12.0"
    )
    core = os.environ.get("CORE_PYTHON", sys.executable)
    parser.add_argument("--core-python", default=core, help="interpreter with the core alone")
    parser.add_argument("--out", type=Path, help="file for the table in Markdown; the plot lies beside it")
    parser.add_argument(
        "--only", default="", help="rows whose module or program contains one of these, parted by commas"
    )
    parser.add_argument("--diginetica", type=Path, default=DIGINETICA, help="folder of SR-GNN's sessions")
    arguments = parser.parse_args()
    for python in (arguments.reference_python, arguments.core_python):
        if not Path(python).exists():
            parser.error(f"there is no {python}: build the environments by `make bench`")
    # An absolute path that keeps the link: a resolved one would leave the virtual environment.
    pythons = {
        "ours": sys.executable,
        "core": os.path.abspath(arguments.core_python),
        "legacy": os.path.abspath(arguments.reference_python),
    }
    before, lines = load(), list[Line]()
    _say(list(HEAD))
    for new in _measured(arguments.only.split(","), pythons, arguments.diginetica):
        _say([line.markdown() for line in new])
        lines += new
    if arguments.out and lines:
        plot = arguments.out.with_suffix(".png")
        plot_ratios(lines, plot)
        rows = [*HEAD, *(line.markdown() for line in lines)]
        arguments.out.write_text("\n".join([*_head(described(pythons, before), plot.name), *rows, ""]))


def _measured(only: list[str], pythons: dict[str, str], diginetica: Path) -> Iterator[list[Line]]:
    def chosen(name: str) -> bool:
        return any(part in name for part in only)

    for row in ROWS:
        if chosen(row.module):
            yield _lines(measure(row, pythons))
    if chosen("import"):
        yield _import_lines(pythons)
    for load_ in LOADS:
        if chosen(load_.program):
            yield program_lines(load_, {side: pythons[side] for side in ("ours", "legacy")})
    if chosen("new-api"):
        yield new_api_lines(diginetica, {"ours": pythons["core"], "legacy": pythons["legacy"]})


def _lines(result: Result) -> list[Line]:
    row, legacy, ours = result.row, result.seconds["legacy"], result.seconds["ours"]
    rounds = tuple(one / other for one, other in zip(legacy, ours, strict=True))
    cells = (times(legacy), times(ours))
    lines = [Line(row.title, "time", cells, min(legacy) / min(ours), rounds, row.speed)]
    if result.bytes:
        # A page or two of noise must not divide by zero.
        held, own = result.bytes["legacy"], max(result.bytes["ours"], 2**16)
        cells = (f"{held / 1e6:.0f} MB", f"{own / 1e6:.0f} MB")
        lines.append(Line("", "extra memory", cells, held / own, promised=row.memory))
    return lines


def _import_lines(pythons: dict[str, str]) -> list[Line]:
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
        word = f"at most {IMPORT_LIMIT} s ({'reached' if min(ours) <= IMPORT_LIMIT else 'missed'})"
        ratio = min(legacy) / min(ours)
        # The promise is a time; as a ratio it is the one that this time would give.
        bar = min(legacy) / IMPORT_LIMIT
        lines.append(Line(stage, "time", (times(legacy), times(ours)), ratio, promised=bar, word=word))
    return lines


def _head(described: list[str], plot: str) -> list[str]:
    return [
        "# Benchmarks",
        "",
        "Both arms on the same data, one thread, process time, the best of some rounds taken in turns (in",
        "brackets the median and the worst); extra memory is the peak over what was resident before, in a",
        "fresh process for each arm. The results were asserted equal. Ratios are what counts, of the best",
        "rounds and round by round (least / median / largest): milliseconds change with the machine and what",
        "else it does. Below the imports are whole programs, unchanged, each side in one fresh process: that",
        "they give the same metrics is what `make equivalence` tests. How cost grows is in `growth.md`, made",
        "by `make growth`.",
        "",
        *described,
        "",
        f"![ratios beside what was promised]({plot})",
        "",
    ]


def _say(lines: list[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
