"""Diginetica, every prefix of every test session: prepares, trains, evaluates, and writes what was found.

Protocol: the sessions and the split of SR-GNN (Wu et al. 2019). A model learns from the training sessions;
for every item of a test session but the first it ranks all items, those seen before included, from what the
session had shown until then. HR@20 (there called P@20 or Recall@20) and MRR@20 are means over all of these,
in percent.
"""

from __future__ import annotations

import argparse
import gzip
import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pyarrow as pa
import torch

import merlin_models_torch as mm
from merlin_models_torch.examples.baseline import follower_metrics, popularity_metrics
from merlin_models_torch.examples.comparison import quiet
from merlin_models_torch.examples.fitting import fit, show_table
from merlin_models_torch.examples.history import say

# HR@20 and MRR@20 as published for this split and protocol.
PUBLISHED = {"SR-GNN": (50.73, 17.59)}
COLUMNS = ("HR@20", "MRR@20")
METRICS = ("hit_rate_at_20", "mrr_at_20")
# No training session is longer.
LONGEST = 70


@dataclass(frozen=True)
class Setting:
    """What was chosen on validation.

    Args:
        epochs: of training.
        dim: width of item vectors and body.
        layers: of the body.
        dropout: of the body.
        temperature: of the softmax over cosines.
        lr: peak learning rate.
        batch_size: sessions at a time.
    """

    epochs: int = 5
    dim: int = 64
    layers: int = 2
    dropout: float = 0.2
    temperature: float = 0.07
    lr: float = 2e-3
    batch_size: int = 256


def read_events(folder: Path, *, held_out: int = 0) -> pa.Table:
    """The sessions of train.txt(.gz) and test.txt(.gz), one event a row, in their order.

    Args:
        folder: of the two files, which hold a session a line, its item ids separated by spaces.
        held_out: last sessions of training that are for validation.

    Returns:
        Columns session_id, item_id, and part: 0 for training, 1 for validation, 2 for the test.
    """
    sessions, items, parts = [], [], []
    first = 0
    for name in ("train", "test"):
        text = _read(folder / f"{name}.txt")
        lengths = np.array([len(line.split()) for line in text.splitlines()])
        numbers = np.arange(len(lengths))
        part = np.where(numbers >= len(lengths) - held_out, 1, 0) if name == "train" else numbers * 0 + 2
        sessions.append(np.repeat(first + numbers, lengths))
        parts.append(np.repeat(part, lengths))
        items.append(np.array(text.split(), dtype=np.int64))
        first += len(lengths)
    return pa.table(
        {
            "session_id": np.concatenate(sessions),
            "item_id": np.concatenate(items),
            "part": np.concatenate(parts),
        }
    )


def _read(path: Path) -> str:
    if path.is_file():
        return path.read_text()
    with gzip.open(f"{path}.gz", "rt") as file:
        return file.read()


def prepare(data: Path, folder: Path, *, held_out: int = 0) -> mm.data.SessionFiles:
    """Sessions as files; every item of either file is in the catalogue.

    Args:
        data: folder of train.txt and test.txt.
        folder: what is written; an earlier one is replaced.
        held_out: last sessions of training that are for validation.
    """
    return mm.data.sessions_from_events(
        read_events(data, held_out=held_out),
        folder,
        user="session_id",
        item="item_id",
        time="part",
        split="time-window",
        window="1s",
        vocabulary_from="all",
        overwrite=True,
    )


def build_model(files: mm.data.SessionFiles, setting: Setting, *, steps: int) -> mm.Model:
    """CORE (Hou et al. 2022): sessions are weighted means of their items, and scores cosines.

    Args:
        files: the prepared sessions.
        setting: sizes and rates.
        steps: of training; the learning rate rises in the first twentieth of them, and then falls.
    """
    encoder = mm.TransformerBlock(
        setting.dim, heads=2, layers=setting.layers, dropout=setting.dropout, max_length=LONGEST
    )
    return mm.SessionModel(
        files,
        dim=setting.dim,
        body=mm.ConsistentBlock(encoder, dim=setting.dim, dropout=setting.dropout),
        masking=mm.CausalMasking(evaluate_on="all"),
        max_sequence_length=LONGEST,
        normalized=True,
        temperature=setting.temperature,
        metrics=("hit_rate", "mrr"),
        top_ks=(20,),
        optimizer=mm.OptimizerConfig(lr=setting.lr, schedule="linear", warmup_steps=steps // 20),
    )


def in_percent(figures: Mapping[str, float], *, prefix: str = "") -> tuple[float, ...]:
    """HR@20 and MRR@20 in percent."""
    return tuple(100 * figures[f"{prefix}{name}"] for name in METRICS)


def count_targets(model: mm.Model, sessions: Sequence[Path]) -> int:
    """How many items an evaluation of these files asks for."""
    batches = mm.ParquetLoader(sessions, model.schema, batch_size=4096)
    return sum(model.output.count(model.inputs.for_evaluation(batch)) for batch in batches)


def run(data: Path, out: Path, setting: Setting, *, held_out: int = 0, bf16: bool = True) -> dict[str, Any]:
    """Everything, from the files to the figures.

    Args:
        data: folder of train.txt and test.txt.
        out: where the prepared sessions, the model and ``report.json`` go.
        setting: of the model and its training.
        held_out: if not 0, this many of the last training sessions are for validation, and the test is left
            alone: for choosing a setting.
        bf16: whether matrix products are made in bfloat16.

    Returns:
        What ``report.json`` holds.
    """
    started = time.monotonic()
    lightning.seed_everything(0, verbose=False)
    files = prepare(data, out / "data", held_out=held_out)
    split = ", ".join(f"{name} {count:,}" for name, count in files.counts.items() if count)
    say(f"sessions: {split}")
    sessions = mm.SessionDataModule(
        files, batch_size=setting.batch_size, evaluation_batch_size=256, bucket=32
    )
    model = build_model(files, setting, steps=setting.epochs * len(sessions.train_dataloader()))
    trainer, minutes = fit(
        model,
        sessions,
        folder=out / "checkpoints",
        epochs=setting.epochs,
        metric=METRICS[0],
        bf16=bf16,
    )
    stage = "val" if held_out else "test"
    measure = trainer.validate if held_out else trainer.test
    measured = in_percent(measure(model, datamodule=sessions, verbose=False)[0], prefix=f"{stage}_")
    systems: dict[str, tuple[float, ...]] = {"this run": measured}
    if not held_out:
        for name, baseline in {
            "most popular items": popularity_metrics,
            "what most often followed the last item": follower_metrics,
        }.items():
            systems[name] = in_percent(
                baseline(files, metrics=("hit_rate", "mrr"), top_ks=(20,), evaluate_on="all")
            )
        systems |= {f"published: {name}": values for name, values in PUBLISHED.items()}
    targets = count_targets(model, files.valid if held_out else files.test)
    say(f"\n{targets:,} targets of {'validation' if held_out else 'the test'}, in percent")
    show_table(COLUMNS, list(systems.items()), digits=2)
    folder = model.save(out / "model", overwrite=True)
    whole = round((time.monotonic() - started) / 60, 1)
    report = {
        "measured_on": "validation" if held_out else "test",
        "sessions": dict(files.counts),
        "targets": targets,
        "figures": {name: dict(zip(COLUMNS, pair, strict=True)) for name, pair in systems.items()},
        "setting": asdict(setting),
        "minutes": {"training": round(minutes, 1), "all": whole},
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    say(f"\n{whole} minutes in all; model in {folder}, figures in {out / 'report.json'}")
    return report


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    chosen = Setting()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of train.txt.gz and test.txt.gz")
    parser.add_argument("--out", type=Path, default=Path("runs/diginetica"))
    for name, value in asdict(chosen).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument(
        "--validate",
        type=int,
        default=0,
        metavar="N",
        help="measure on the last N training sessions, held out of training, instead of the test",
    )
    parser.add_argument("--fp32", action="store_true", help="matrix products in float32, not bfloat16")
    options = parser.parse_args(arguments)
    for name in ("train", "test"):
        if not any((options.data / f"{name}.txt{end}").is_file() for end in ("", ".gz")):
            parser.error(f"{options.data} holds no {name}.txt.gz: give its folder with DATA=... or --data")
    quiet()
    setting = Setting(**{name: getattr(options, name) for name in asdict(chosen)})
    run(options.data, options.out, setting, held_out=options.validate, bf16=not options.fp32)


if __name__ == "__main__":
    main()
