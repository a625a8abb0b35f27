"""From events to answers, no data needed: generates sessions, trains, answers, and writes a report.

The next item of a generated session mostly follows from the last one, while all items are about equally
popular, so that recommending the most popular items finds little and a model of the session much.
"""

from __future__ import annotations

import argparse
import logging
import math
import platform
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning
import pyarrow as pa
import torch

import merlin_models_torch as mm
from merlin_models_torch.examples.baseline import popular_items, popularity_metrics
from merlin_models_torch.examples.history import History, say
from merlin_models_torch.examples.report import Report, write_report
from merlin_models_torch.reporting.cards import Example

METRICS = ("hit_rate", "ndcg", "mrr")
TOP_KS = (5, 10, 20)
LONGEST = 30
DIM, LAYERS, BATCH, SHOWN = 64, 2, 128, 5
MODEL, POPULAR = "this model", "most popular"
SUMMARY = (
    "A causal transformer learned from sessions whose next item mostly follows from the last one, while all "
    "items are about equally popular. It is compared with recommending the most popular items."
)
REMARK = (
    "The sessions were made so that 65 of 100 events follow from the one before; the others are drawn at "
    "random from the same category or the next, and no model can foresee which. Real sessions are harder."
)


@dataclass(frozen=True)
class Outcome:
    """What a run of the demo leaves.

    Args:
        files: the prepared sessions.
        model: folder of the saved model.
        report: the page.
        scores: by system, ranking measures over the test sessions.
        loaded_hit_rate: HR@10 of what the loaded model predicts for test sessions without their last item.
        examples: some of these.
    """

    files: mm.data.SessionFiles
    model: Path
    report: Path
    scores: Mapping[str, Mapping[str, float]]
    loaded_hit_rate: float
    examples: Sequence[Example]


def build_model(files: mm.data.SessionFiles, *, steps: int) -> mm.Model:
    """A causal transformer over item, category and price, whose output shares the items' embeddings.

    Args:
        files: the prepared sessions.
        steps: of training; the learning rate rises in the first tenth of them, and then falls.
    """
    inputs = mm.TabularInputBlock(
        files.schema,
        embedding_dim={"item_id": DIM, "category": 16},
        continuous_projection=16,
        projection=DIM,
        masking=mm.CausalMasking(),
        max_sequence_length=LONGEST,
    )
    body = mm.TransformerBlock(DIM, heads=2, layers=LAYERS, max_length=LONGEST)
    output = mm.CategoricalOutput(weight_tying=True, metrics=METRICS, top_ks=TOP_KS)
    optimizer = mm.OptimizerConfig(lr=5e-3, schedule="linear", warmup_steps=steps // 10)
    return mm.Model(inputs, body, output, optimizer=optimizer, vocabularies=files.vocabularies)


def train(
    model: mm.Model, sessions: mm.SessionDataModule, *, epochs: int
) -> tuple[History, dict[str, float]]:
    """Trains with a stock Trainer, and measures on the test sessions.

    Returns:
        The losses, and the test measures by names such as "ndcg_at_10".
    """
    history = History(metric="hit_rate_at_10")
    trainer = lightning.Trainer(
        max_epochs=epochs,
        devices=1,
        callbacks=[history],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=sys.stdout.isatty(),
        num_sanity_val_steps=0,
    )
    with warnings.catch_warnings():
        # Lightning asks torch in a way that torch has begun to warn about.
        warnings.filterwarnings("ignore", message=r"`isinstance\(treespec", category=FutureWarning)
        trainer.fit(model, datamodule=sessions)
        logged = trainer.test(model, datamodule=sessions, verbose=False)[0]
    return history, {f"{name}_at_{k}": logged[f"test_{name}_at_{k}"] for name in METRICS for k in TOP_KS}


def without_last(sessions: pa.Table) -> pa.Table:
    """Every list without its last value: what was known before the last event."""
    rows = [
        {name: value[:-1] if isinstance(value, list) else value for name, value in row.items()}
        for row in sessions.to_pylist()
    ]
    return pa.Table.from_pylist(rows, schema=sessions.schema)


def answer(model: mm.Model, sessions: pa.Table, *, k: int) -> list[Example]:
    """What the model answers to each session without its last item, in original ids."""
    vocabulary = model.item_vocabulary
    if vocabulary is None:
        raise ValueError("the model knows no original ids: build it with vocabularies=files.vocabularies")
    answers = model.predict(without_last(sessions), k=k)
    examples = []
    for codes, answered in zip(sessions["item_id"], answers.to_pylist(), strict=True):
        items = [item or "unknown" for item in vocabulary.decode(codes.values).to_pylist()]
        examples.append(
            Example(str(answered["session_id"]), items[:-1], items[-1], {MODEL: answered["item_id"]})
        )
    return examples


def show_scores(scores: Mapping[str, Mapping[str, float]]) -> None:
    """A line for each cut-off, with the measures of each system."""
    say(f"\n{'':4s}" + "".join(f"   {system:>26s}" for system in scores))
    say(f"{'k':>4s}" + f"   {'HR':>8s} {'NDCG':>8s} {'MRR':>8s}" * len(scores))
    for k in TOP_KS:
        measures = [
            [f"{values[f'{metric}_at_{k}']:8.4f}" for metric in METRICS] for values in scores.values()
        ]
        say(f"{k:4d}" + "".join(f"   {' '.join(row)}" for row in measures))


def show_examples(examples: Sequence[Example]) -> None:
    """The last items of some sessions, what came next, and what was answered; a hit is in brackets."""
    for example in examples:
        answers = [f"[{item}]" if item == example.followed_by else item for item in example.answers[MODEL]]
        say(f"\nsession {example.session}")
        say(f"  last seen    {', '.join(example.seen[-4:])}")
        say(f"  came next    {example.followed_by}")
        say(f"  answers      {', '.join(answers)}")


def run(out: Path, *, sessions: int = 20_000, items: int = 1_000, epochs: int = 6, seed: int = 0) -> Outcome:
    """Everything, from events to the report.

    Args:
        out: folder for ``sessions``, ``model`` and ``report.html``; those of an earlier run are replaced.
        sessions: number of sessions to generate.
        items: number of items in them, at least 20.
        epochs: of training.
        seed: of the sessions, the weights and the order of training.
    """
    started = time.monotonic()
    lightning.seed_everything(seed, verbose=False)
    events = mm.data.generate_sessions(sessions, items, max_length=LONGEST, seed=seed)
    files = mm.data.sessions_from_events(
        events,
        out / "sessions",
        user="session_id",
        item="item_id",
        time="timestamp",
        features=["category", "price"],
        split="time-window",
        window=7,
        overwrite=True,
    )
    split = ", ".join(f"{name} {count:,}" for name, count in files.counts.items())
    say(
        f"{sessions:,} sessions with {events.num_rows:,} events of {items:,} items, split by time:\n  {split}"
    )
    data = mm.SessionDataModule(files, batch_size=BATCH, evaluation_batch_size=512, seed=seed)
    model = build_model(files, steps=epochs * len(data.train_dataloader()))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    say(f"a causal transformer with {parameters:,} parameters\n")
    history, measured = train(model, data, epochs=epochs)
    scores = {MODEL: measured, POPULAR: popularity_metrics(files, metrics=METRICS, top_ks=TOP_KS)}
    show_scores(scores)

    folder = model.save(out / "model", overwrite=True)
    answered = answer(mm.load(folder), _read(files.test), k=max(TOP_KS))
    hit_rate = sum(e.followed_by in e.answers[MODEL][:10] for e in answered) / len(answered)
    say(f"\nThe saved model, loaded again, answers {len(answered):,} test sessions without their last item:")
    say(f"  HR@10 {hit_rate:.4f} of its answers, {measured['hit_rate_at_10']:.4f} in the test above")
    popular = popular_items(files, k=SHOWN)
    examples = [
        Example(e.session, e.seen[-6:], e.followed_by, {MODEL: e.answers[MODEL][:SHOWN], POPULAR: popular})
        for e in answered[:: math.ceil(len(answered) / 6)]
    ]
    show_examples(examples[:3])
    seconds = time.monotonic() - started
    facts = {
        "Sessions": f"{sessions:,} generated ones, {events.num_rows:,} events, {items:,} items, seed {seed}",
        "Split": f"by time: {split}",
        "Model": f"causal transformer, {LAYERS} layers of width {DIM}, {parameters:,} parameters, "
        "input and output share the item embeddings",
        "Training": f"{epochs} epochs, batches of {BATCH} sessions, softmax over all items",
        "Protocol": "the last item of each test session is predicted; all items are ranked",
        "Time": f"{seconds:.0f} s in all, CPU threads: {torch.get_num_threads()}",
        "Versions": f"merlin-models-torch {mm.__version__}, torch {torch.__version__}, "
        f"lightning {lightning.__version__}, Python {platform.python_version()}",
    }
    page = Report(
        title="Next items in generated sessions",
        summary=SUMMARY,
        highlights=[
            (f"{measured['hit_rate_at_10']:.1%}", "of next items are among the model's first 10 answers"),
            (f"{scores[POPULAR]['hit_rate_at_10']:.1%}", "are among the 10 most popular items"),
            (f"{items:,}", "items to choose from"),
            (f"{seconds:.0f} s", "from events to answers"),
        ],
        losses=history.losses(chance=math.log(items)),
        scores=scores,
        examples=examples,
        notes=_categories(events),
        facts=list(facts.items()),
        remark=REMARK,
    )
    report = write_report(page, out / "report.html")
    say(f"\n{seconds:.0f} seconds in all. Open {report} in a browser; the model is in {folder}.")
    return Outcome(files, folder, report, scores, hit_rate, examples)


def _read(paths: Sequence[Path]) -> pa.Table:
    from pyarrow import parquet

    return pa.concat_tables([parquet.read_table(path) for path in paths])


def _categories(events: pa.Table) -> dict[str, str]:
    """The category of each item."""
    pairs = events.group_by(["item_id", "category"]).aggregate([])
    return dict(zip(pairs["item_id"].to_pylist(), pairs["category"].to_pylist(), strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder to write (default: demo)")
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    for name, least in (("sessions", 50), ("items", max(TOP_KS)), ("epochs", 1)):
        if getattr(options, name) < least:
            parser.error(f"--{name} is {getattr(options, name)}, expected at least {least}")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # A second thread gains little on a model so small, and waiting for it costs much where cores are shared.
    torch.set_num_threads(1)
    try:
        run(
            options.out,
            sessions=options.sessions,
            items=options.items,
            epochs=options.epochs,
            seed=options.seed,
        )
    except (mm.data.DataError, OSError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
