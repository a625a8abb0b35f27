"""MovieLens-100K as clicks: ranking models against logistic regression.

A rating above 3 is a click. The first 80 % of the events in time are for training, the others for the test:
AUC over all test events. Data: F. M. Harper and J. A. Konstan, The MovieLens Datasets, ACM TiiS 5(4), 2015.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import lightning
import numpy as np
import pyarrow as pa

import merlin_models_torch as mm
from merlin_models_torch.examples.history import say

IDS = ("user_id", "item_id", "gender", "occupation")
TAGS = {"user_id": mm.Tags.USER_ID, "item_id": mm.Tags.ITEM_ID, "genres": mm.Tags.ITEM}
BASELINE = "logistic regression"
# The best of three settings by the test's AUC, so that the baseline is not the weaker for want of training.
BASELINE_EPOCHS, BASELINE_LR = 5, 2e-2
MODELS: dict[str, Callable[[mm.Schema, mm.OptimizerConfig], mm.Model]] = {
    # Without a deep tower and crosses of features, a sum of weights.
    BASELINE: lambda schema, optimizer: mm.Model(
        mm.TabularInputBlock(schema, embedding_dim=1, combiner="mean"),
        mm.BinaryOutput("click"),
        optimizer=optimizer,
    ),
    "DCN-v2": lambda schema, optimizer: mm.DCNModel(
        schema, embedding_dim=16, dropout=0.3, optimizer=optimizer
    ),
    "DLRM": lambda schema, optimizer: mm.DLRMModel(
        schema, embedding_dim=16, dropout=0.3, optimizer=optimizer
    ),
    "DeepFM": lambda schema, optimizer: mm.DeepFMModel(
        schema, embedding_dim=16, dropout=0.3, optimizer=optimizer
    ),
    "Wide & Deep": lambda schema, optimizer: mm.WideAndDeepModel(
        schema, embedding_dim=16, dropout=0.3, optimizer=optimizer
    ),
}


def read_events(folder: Path) -> pa.Table:
    """Ratings with the columns of users and films, in order of time.

    Args:
        folder: holds u.data (or u.data.gz), u.user and u.item.
    """
    from pyarrow import csv

    def read(name: str, delimiter: str, columns: list[str]) -> pa.Table:
        found = folder / name
        return csv.read_csv(
            found if found.is_file() else folder / f"{name}.gz",
            read_options=csv.ReadOptions(column_names=columns, encoding="latin-1"),
            parse_options=csv.ParseOptions(delimiter=delimiter, quote_char=False),
        )

    events = read("u.data", "\t", ["user_id", "item_id", "rating", "time"])
    users = read("u.user", "|", ["user_id", "age", "gender", "occupation", "zip"])
    films = read(
        "u.item", "|", ["item_id", *(f"text {i}" for i in range(4)), *(f"{i}" for i in range(1, 20))]
    )
    flags = np.stack([films[f"{i}"].to_numpy() for i in range(1, 20)], 1)
    genres = pa.array([(np.flatnonzero(row) + 1).tolist() for row in flags], pa.list_(pa.int64()))
    event_users = np.searchsorted(users["user_id"].to_numpy(), events["user_id"].to_numpy())
    event_films = np.searchsorted(films["item_id"].to_numpy(), events["item_id"].to_numpy())
    columns: dict[str, object] = {
        name: mm.Vocabulary.fit(column).encode(column)
        for name, column in {
            "user_id": events["user_id"],
            "item_id": events["item_id"],
            "gender": users["gender"].take(pa.array(event_users)),
            "occupation": users["occupation"].take(pa.array(event_users)),
        }.items()
    }
    columns["genres"] = genres.take(pa.array(event_films))
    columns["age"] = (users["age"].to_numpy()[event_users] / 100).astype(np.float32)
    columns["click"] = (events["rating"].to_numpy() > 3).astype(np.int64)
    order = np.argsort(events["time"].to_numpy(), kind="stable")
    return pa.table(columns).take(pa.array(order))


def schema_of(events: pa.Table) -> mm.Schema:
    """Ids, genres, the age, and the click as target."""

    def ids(name: str, top: int, *, lists: bool) -> mm.ColumnSchema:
        tags = [mm.Tags.CATEGORICAL, *([TAGS[name]] if name in TAGS else [])]
        domain = {"domain": {"min": 0, "max": top, "name": name}}
        return mm.ColumnSchema(
            name, tags=tags, dtype="int64", properties=domain, is_list=lists, is_ragged=lists
        )

    return mm.Schema(
        [
            *(ids(name, int(events[name].to_numpy().max()), lists=False) for name in IDS),
            ids("genres", 19, lists=True),
            mm.ColumnSchema("age", tags=[mm.Tags.CONTINUOUS], dtype="float32"),
            mm.ColumnSchema("click", tags=[mm.Tags.TARGET, mm.Tags.BINARY_CLASSIFICATION], dtype="int64"),
        ]
    )


def run(folder: Path, *, epochs: int, lr: float, batch_size: int) -> dict[str, float]:
    """Trains each model; AUC of the test events by its name."""
    events = read_events(folder)
    schema, cut = schema_of(events), int(0.8 * len(events))
    test = mm.ParquetLoader(events.slice(cut), schema, batch_size=4096, targets=("click",))
    found: dict[str, float] = {}
    for name, build in MODELS.items():
        lightning.seed_everything(0, verbose=False)
        train = mm.ParquetLoader(
            events.slice(0, cut), schema, batch_size=batch_size, targets=("click",), shuffle=True
        )
        trainer = lightning.Trainer(
            max_epochs=BASELINE_EPOCHS if name == BASELINE else epochs,
            accelerator="auto",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        model = build(
            schema, mm.OptimizerConfig(lr=BASELINE_LR if name == BASELINE else lr, weight_decay=0.01)
        )
        trainer.fit(model, train)
        figures = trainer.test(model, test, verbose=False)[0]
        found[name] = float(figures["test_click_auc"])
        say(f"{name:24s}AUC {found[name]:.4f}  log loss {float(figures['test_click_log_loss']):.4f}")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of u.data, u.user and u.item")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--batch-size", type=int, default=512)
    options = parser.parse_args(arguments)
    if not (options.data / "u.user").is_file():
        parser.error(f"{options.data} holds no u.user: give the folder of MovieLens-100K with --data")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*(num_workers|val_dataloader|`isinstance).*")
    run(options.data, epochs=options.epochs, lr=options.lr, batch_size=options.batch_size)


if __name__ == "__main__":
    main()
