"""What each legacy option does to answers, on real sessions: ``python -m tests.guides.quirks --data FOLDER``.

FOLDER has ``diginetica/train.txt.gz`` and ``test.txt.gz`` (a session a line) and ``ml-1m/ml-1m.txt.gz``
(``user item`` a line, in order of time). Every option is trained from the same seeds and sessions as the
plain masking of its family, and judged by ``predict`` on sessions without their last item, which is what a
model is for. What ``validate`` reports of the whole sessions stands beside it. The table goes to standard
output, all runs as JSON to ``--out``. Nothing compares these figures; people read them in
migration_guides/what-differs.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import pyarrow as pa

import merlin_models_torch as mm
from merlin_models_torch.examples.comparison import quiet

Rows = list[list[int]]


@dataclass(frozen=True)
class Case:
    """One way to train.

    Args:
        option: as the guide names it; the plain one of a family comes first.
        masking: of the input block.
        pad_to: positions of every batch, or the longest session's.
        keep: which positions of a long session count.
        exclude: items that are never answers; padding if None.
        clip: norm at which gradients are clipped.
    """

    option: str
    masking: mm.masking.Masking
    pad_to: int | None = None
    keep: Literal["latest", "oldest"] = "latest"
    exclude: tuple[int, ...] | None = None
    clip: float | None = None


@dataclass(frozen=True)
class Size:
    """How much is trained.

    Args:
        sessions: for training, the last ones of the file.
        asked: sessions that are judged by, and users of ml-1m.
        least: times that an item must come in the training sessions.
        length: positions that a model sees.
        dim: width.
        epochs: passes over the data.
        seeds: trainings of each case.
    """

    sessions: int = 6000
    asked: int = 2000
    least: int = 4
    length: int = 20
    dim: int = 48
    epochs: int = 10
    seeds: int = 3


@dataclass(frozen=True)
class Sessions:
    """Sessions with items numbered from 1.

    Args:
        train: to learn from.
        asked: whose last item is asked for.
        items: the largest number.
    """

    train: Rows
    asked: Rows
    items: int


@dataclass
class Measured:
    """What one training came to.

    Args:
        predicted: recall at 20 of predict on the sessions without their last item.
        reported: recall at 20 that validate reports of the whole sessions.
        padding: share of sessions for which padding is among the 20 answers.
        seconds: of the processor, for training.
    """

    predicted: float
    reported: float
    padding: float
    seconds: float


@dataclass
class Family:
    """Cases that are compared with their first.

    Args:
        name: of the data and what is common.
        cases: the plain one first.
        runs: of each case, by seed.
    """

    name: str
    cases: Sequence[Case]
    runs: dict[str, list[Measured]] = field(default_factory=dict)


def families(length: int) -> dict[str, Family]:
    """All that is measured.

    Args:
        length: positions that a model sees, to which Transformers4Rec pads.
    """
    random, causal, permuted = mm.RandomMasking, mm.CausalMasking, mm.PermutedMasking
    shown: dict[str, Any] = {"attend_to_padding": True}
    leak: dict[str, Any] = {"attention": "full"}
    all_causal = causal(replace_padding=True, blank_last=True, **leak, **shown)
    all_permuted = permuted(
        hide_targets=True, look_back=True, predict_last=True, evaluate_single=True, **shown
    )
    return {
        "random": Family(
            "diginetica, random masking",
            [
                Case("`RandomMasking()`", random()),
                Case("`attend_to_padding=True`, padded to the longest", random(**shown)),
                Case("`attend_to_padding=True`, `pad_to=20`", random(**shown), pad_to=length),
                Case("`pad_to=20` alone", random(), pad_to=length),
                Case("`CategoricalOutput(exclude=())`", random(), exclude=()),
                Case("`gradient_clip_val=1.0`", random(), clip=1.0),
                Case(
                    'all that is written for `"mlm"`',
                    random(evaluate_single=True, **shown),
                    pad_to=length,
                    exclude=(),
                    clip=1.0,
                ),
            ],
        ),
        "causal": Family(
            "diginetica, causal masking",
            [
                Case("`CausalMasking()`", causal()),
                Case('`attention="full"`', causal(**leak)),
                Case("`attend_to_padding=True`, `pad_to=20`", causal(**shown), pad_to=length),
                Case("`blank_last=True`", causal(blank_last=True)),
                Case(
                    '`attention="full"`, `replace_padding=True`, `attend_to_padding=True`, `pad_to=20`',
                    causal(replace_padding=True, **leak, **shown),
                    pad_to=length,
                ),
                Case('all that is written for `"causal"`', all_causal, pad_to=length, exclude=(), clip=1.0),
            ],
        ),
        "permuted": Family(
            "diginetica, permuted masking",
            [
                Case("`PermutedMasking()`", permuted()),
                Case("`hide_targets=True`", permuted(hide_targets=True)),
                Case("`look_back=True`", permuted(look_back=True)),
                Case("`predict_last=True`", permuted(predict_last=True)),
                Case('all that is written for `"plm"`', all_permuted, pad_to=length, exclude=(), clip=1.0),
            ],
        ),
        "long": Family(
            "ml-1m, causal masking",
            [
                Case('`ParquetLoader(keep="latest")`', causal()),
                Case('`ParquetLoader(keep="oldest")`', causal(), keep="oldest"),
            ],
        ),
    }


def read_diginetica(folder: Path, size: Size) -> Sessions:
    """The last training sessions and the first test sessions; items that are rare in the former left out."""
    train = _lines(folder / "train.txt.gz")[-size.sessions :]
    asked = _lines(folder / "test.txt.gz")
    ids, counts = np.unique(np.concatenate(train), return_counts=True)
    numbers = {item: row for row, item in enumerate(ids[counts >= size.least].tolist(), start=1)}
    train, asked = (
        [row for session in rows if len(row := [numbers[item] for item in session if item in numbers]) > 1]
        for rows in (train, asked)
    )
    return Sessions(train, asked[: size.asked], len(numbers))


def read_movies(folder: Path, size: Size) -> Sessions:
    """Of the first users all items but the last for training, and all of them to ask for the last."""
    users: dict[int, list[int]] = {}
    for user, item in _lines(folder / "ml-1m.txt.gz"):
        users.setdefault(user, []).append(item)
    rows = list(users.values())[: size.asked]
    return Sessions([row[:-1] for row in rows], rows, max(map(max, rows)))


def _lines(path: Path) -> Rows:
    with gzip.open(path, "rt") as file:
        return [list(map(int, line.split())) for line in file]


def measure(sessions: Sessions, case: Case, size: Size, seed: int) -> Measured:
    """Trains once and asks.

    Args:
        sessions: to train on and to ask for.
        case: the way.
        size: of the training.
        seed: of weights, dropout, masks and order.
    """
    schema = schema_of(sessions.items)
    lightning.seed_everything(seed, verbose=False)
    model = build(schema, case, size)
    trainer = lightning.Trainer(
        max_epochs=size.epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=case.clip,
    )

    # One position more than is seen, for a target that is not.
    def loader(rows: Rows, *, more: int = 0, **options: Any) -> mm.ParquetLoader:
        cut = size.length + more
        rows = [row[:cut] if case.keep == "oldest" else row[-cut:] for row in rows]
        return mm.ParquetLoader(pa.table({"item_id": rows}), schema, batch_size=128, **options)

    more = int(case.keep == "latest")
    began = time.process_time()
    trainer.fit(model, loader(sessions.train, more=more, shuffle=True, seed=seed))
    seconds = time.process_time() - began
    reported = trainer.validate(model, loader(sessions.asked, more=more), verbose=False)[0]
    answers = model.predict(loader([row[:-1] for row in sessions.asked]), k=20)["item_id"].to_pylist()
    hits = [row[-1] in answer for row, answer in zip(sessions.asked, answers, strict=True)]
    padding = statistics.fmean(0 in answer for answer in answers)
    return Measured(statistics.fmean(hits), reported["val_recall_at_20"], padding, seconds)


def schema_of(items: int) -> mm.Schema:
    """Sessions of item ids alone."""
    tags = [mm.Tags.ITEM_ID, mm.Tags.CATEGORICAL, mm.Tags.SEQUENCE]
    domain = {"domain": {"min": 0, "max": items, "name": "item_id"}}
    return mm.Schema(
        [
            mm.ColumnSchema(
                "item_id", tags=tags, dtype="int64", properties=domain, is_list=True, is_ragged=True
            )
        ]
    )


def build(schema: mm.Schema, case: Case, size: Size) -> mm.Model:
    """One XLNet layer, as rewritten programs have it, with less dropout."""
    inputs = mm.TabularInputBlock(
        schema,
        embedding_dim=size.dim,
        masking=case.masking,
        max_sequence_length=size.length,
        pad_to=case.pad_to,
    )
    two = isinstance(case.masking, mm.PermutedMasking)
    body = mm.XLNetBlock(size.dim, heads=4, layers=1, dropout=0.1, two_streams=two)
    options = {} if case.exclude is None else {"exclude": case.exclude}
    output = mm.CategoricalOutput(weight_tying=True, metrics=("recall",), top_ks=(20,), **options)
    return mm.Model(inputs, body, output, optimizer=mm.OptimizerConfig(lr=2e-3))


def table(families: Sequence[Family]) -> Iterator[str]:
    """Lines of Markdown: means and spreads over the seeds, and the difference of each case to its first."""
    yield "| option | recall@20 by `predict` | difference, same seeds | recall@20 of `validate` | time |"
    yield "|---|---|---|---|---|"
    for family in families:
        plain = family.runs[family.cases[0].option]
        yield f"| **{family.name}** | | | | |"
        for case in family.cases:
            runs = family.runs[case.option]
            pairs = zip(runs, plain, strict=True)
            difference = _spread([run.predicted - other.predicted for run, other in pairs], signed=True)
            time_ratio = sum(run.seconds for run in runs) / sum(run.seconds for run in plain)
            yield (
                f"| {case.option} | {_spread([run.predicted for run in runs])} | "
                f"{'' if runs is plain else difference} | {_spread([run.reported for run in runs])} | "
                f"{time_ratio:.1f} |"
            )


def _spread(values: Sequence[float], *, signed: bool = False) -> str:
    mean = statistics.fmean(values)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{mean:+.4f} ± {spread:.4f}" if signed else f"{mean:.4f} ± {spread:.4f}"


def run(data: Path, size: Size, chosen: Sequence[str], out: Path | None = None) -> list[Family]:
    """Measures families of cases.

    Args:
        data: folder with those of the data sets.
        size: of each training.
        chosen: names of families.
        out: file for all runs, written after each case.
    """
    known = families(size.length)
    measured = [known[name] for name in chosen]
    read: dict[str, Sessions] = {}
    for name, family in zip(chosen, measured, strict=True):
        source = "ml-1m" if name == "long" else "diginetica"
        reader = read_movies if name == "long" else read_diginetica
        sessions = read.setdefault(source, reader(data / source, size))
        sys.stderr.write(f"{source}: {len(sessions.train):,} sessions, {sessions.items:,} items\n")
        for case in family.cases:
            seeds = range(size.seeds)
            family.runs[case.option] = [measure(sessions, case, size, seed) for seed in seeds]
            sys.stderr.write(f"{case.option}: {family.runs[case.option]}\n")
            if out is not None:
                found = {f.name: {k: list(map(asdict, v)) for k, v in f.runs.items()} for f in measured}
                out.write_text(json.dumps({"size": asdict(size), "runs": found}, indent=1) + "\n")
    return measured


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of diginetica/ and ml-1m/")
    parser.add_argument("--out", type=Path, help="file for all runs as JSON")
    names = tuple(families(1))
    parser.add_argument("--family", choices=names, action="append", help="only this one; may be repeated")
    for name, value in asdict(Size()).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args(arguments)
    quiet()
    size = Size(**{name: getattr(options, name) for name in asdict(Size())})
    measured = run(options.data, size, options.family or names, options.out)
    sys.stdout.writelines(f"{line}\n" for line in table(measured))


if __name__ == "__main__":
    main()
