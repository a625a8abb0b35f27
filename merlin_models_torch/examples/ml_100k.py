"""MovieLens-100K: models of clicks against logistic regression, and of clicks and ratings together.

A rating above 3 is a click. Of each user's events in order of time the first 80 % are for training, the next
10 % for validation, the last for the test. The settings of every model, the baselines' too, and the number of
epochs are those of the best validation; then several seeds are trained, and the test is looked at once for
each. Data: F. M. Harper and J. A. Konstan, The MovieLens Datasets, ACM TiiS 5(4), 2015.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
import torch
from torchmetrics.functional.classification import binary_auroc

import merlin_models_torch as mm
from merlin_models_torch.examples.comparison import (
    fit_best,
    mean_and_spread,
    quiet,
    show_results,
    write_results,
)
from merlin_models_torch.examples.history import say
from merlin_models_torch.examples.ml_100k_data import read_events, schema_of, split_by_user

Schedule = Literal["constant", "linear"]


@dataclass(frozen=True)
class Setting:
    """What is chosen on validation.

    Args:
        lr: learning rate at the start.
        weight_decay: of AdamW.
        schedule: of the learning rate; "linear" falls to 0 in the last epoch.
        dim: width of the embeddings.
        dropout: of hidden layers.
    """

    lr: float
    weight_decay: float
    schedule: Schedule = "linear"
    dim: int = 1
    dropout: float = 0.0

    def optimizer(self) -> mm.OptimizerConfig:
        """The optimiser of this setting."""
        return mm.OptimizerConfig(lr=self.lr, weight_decay=self.weight_decay, schedule=self.schedule)


LINEAR = tuple(
    Setting(lr, decay, schedule)
    for lr, decay, schedule in itertools.product((5e-3, 1e-2, 2e-2), (0.0, 0.1), get_args(Schedule))
)
DEEP = tuple(
    Setting(lr, decay, dim=16, dropout=dropout)
    for lr, decay, dropout in itertools.product((4e-3, 1e-2), (1.0, 2.0), (0.1, 0.3))
)
# What DLRM knows of an id alone goes through products with other vectors, which are soon fitted too well: it
# takes more decay and less dropout than the others.
PRODUCTS = tuple(
    Setting(lr, decay, dim=16, dropout=dropout)
    for lr, decay, dropout in itertools.product((5e-3, 1e-2), (2.0, 3.0), (0.0, 0.1))
)
Builder = Callable[[mm.Schema, Setting], mm.Model]


def linear_model(output: str) -> Builder:
    """A weight for each id and number: no features are crossed."""

    def build(schema: mm.Schema, setting: Setting) -> mm.Model:
        inputs = mm.TabularInputBlock(schema, embedding_dim=1, combiner="mean")
        head = mm.BinaryOutput("click") if output == "click" else mm.RegressionOutput("rating")
        return mm.Model(inputs, head, optimizer=setting.optimizer())

    return build


def ranking_model(builder: Callable[..., mm.Model]) -> Builder:
    """One of the library's models of clicks."""

    def build(schema: mm.Schema, setting: Setting) -> mm.Model:
        return builder(
            schema.remove_col("rating"),
            embedding_dim=setting.dim,
            dropout=setting.dropout,
            optimizer=setting.optimizer(),
        )

    return build


def wide_and_deep(schema: mm.Schema, **options: Any) -> mm.Model:
    """Wide & Deep that remembers the genres each user likes and the films each gender likes."""
    crosses = {
        "taste": mm.HashedCross(["user_id", "genres"], bins=50_000),
        "audience": mm.HashedCross(["gender", "item_id"], bins=10_000),
    }
    return mm.WideAndDeepModel(schema, crosses=crosses, **options)


def multi_task_model(**options: Any) -> Builder:
    """A model of clicks and ratings."""

    def build(schema: mm.Schema, setting: Setting) -> mm.Model:
        return mm.MultiTaskModel(
            schema,
            embedding_dim=setting.dim,
            dropout=setting.dropout,
            optimizer=setting.optimizer(),
            **options,
        )

    return build


MODELS: dict[str, tuple[Builder, Sequence[Setting]]] = {
    "logistic regression": (linear_model("click"), LINEAR),
    "linear regression": (linear_model("rating"), LINEAR),
    "DLRM": (ranking_model(mm.DLRMModel), PRODUCTS),
    "DCN-v2": (ranking_model(mm.DCNModel), DEEP),
    "DeepFM": (ranking_model(mm.DeepFMModel), DEEP),
    "Wide & Deep": (ranking_model(wide_and_deep), DEEP),
    "MMOE": (multi_task_model(experts="mmoe", num_experts=4), DEEP),
    "PLE": (multi_task_model(experts="ple", num_experts=2), DEEP),
}


def figures(model: mm.Model, events: pa.Table) -> dict[str, float]:
    """AUC and log loss of clicks, root mean squared error of ratings in stars: those the model answers."""
    return figures_of(model.predict(events, batch_size=4096), events)


def figures_of(answers: pa.Table, events: pa.Table) -> dict[str, float]:
    """The same of a table with ``click_score`` or ``rating_score``."""
    found: dict[str, float] = {}
    if "click_score" in answers.column_names:
        scores, clicks = _tensor(answers["click_score"]), _tensor(events["click"])
        found["AUC"] = binary_auroc(scores, clicks.long()).item()
        found["log loss"] = torch.nn.functional.binary_cross_entropy(scores, clicks).item()
    if "rating_score" in answers.column_names:
        error = _tensor(answers["rating_score"]) - _tensor(events["rating"])
        found["RMSE"] = error.square().mean().sqrt().item()
    return found


def _tensor(column: pa.ChunkedArray) -> torch.Tensor:
    return torch.tensor(column.to_numpy(), dtype=torch.float32)


def choice(found: Mapping[str, float]) -> float:
    """What settings and epochs are chosen by, the larger the better: log loss and RMSE, negated."""
    return -found.get("log loss", 0.0) - found.get("RMSE", 0.0)


def constant(train: pa.Table, test: pa.Table) -> dict[str, float]:
    """The training events' share of clicks and mean rating as the answer to every event."""
    count = len(test)
    answers = {f"{name}_score": [_tensor(train[name]).mean().item()] * count for name in ("click", "rating")}
    return figures_of(pa.table(answers), test)


def compare(
    events: pa.Table, names: Iterable[str], *, seeds: int, epochs: int, batch_size: int
) -> dict[str, Any]:
    """Chooses the setting of each model, trains its seeds, and measures them on the test.

    Returns:
        Settings, epochs and validation figures by model, and mean and spread of the test figures.
    """
    schema = schema_of(events)
    train, valid, test = split_by_user(events)
    loader = mm.ParquetLoader(train, schema, batch_size=batch_size, shuffle=True)

    def trained(build: Builder, setting: Setting, seed: int) -> tuple[mm.Model, float, int]:
        loader.set_epoch(1000 * seed)
        return fit_best(
            lambda: build(schema, setting),
            loader,
            lambda model: choice(figures(model, valid)),
            seed=seed,
            epochs=epochs,
        )

    results: dict[str, Any] = {"the mean": {"test": mean_and_spread([constant(train, test)])}}
    for name in names:
        started = time.monotonic()
        build, settings = MODELS[name]
        tried = {setting: trained(build, setting, 0) for setting in settings}
        setting = max(settings, key=lambda one: tried[one][1])
        runs = [tried[setting], *(trained(build, setting, seed) for seed in range(1, seeds))]
        results[name] = {
            "setting": asdict(setting),
            "epochs": [run[2] for run in runs],
            "validation": [run[1] for run in runs],
            "test": mean_and_spread([figures(run[0], test) for run in runs]),
        }
        told = "  ".join(f"{key} {value['mean']:.4f}" for key, value in results[name]["test"].items())
        say(f"{name:24s}{told}  {setting}  {time.monotonic() - started:.0f} s")
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of u.data, u.user and u.item")
    parser.add_argument("--out", type=Path, default=Path("runs/ml-100k"))
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=7, help="of which the best is kept")
    parser.add_argument("--batch-size", type=int, default=1024)
    options = parser.parse_args(arguments)
    if not (options.data / "u.user").is_file():
        parser.error(f"{options.data} holds no u.user: give the folder of MovieLens-100K with --data")
    quiet()
    results = compare(
        read_events(options.data),
        options.models,
        seeds=options.seeds,
        epochs=options.epochs,
        batch_size=options.batch_size,
    )
    show_results({name: result["test"] for name, result in results.items()})
    write_results(options.out / "results.json", results)


if __name__ == "__main__":
    main()
