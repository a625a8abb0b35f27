"""What comparisons of models share: training to the best validation, choice of settings, telling results."""

from __future__ import annotations

import json
import logging
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from torch import Tensor

import merlin_models_torch as mm
from merlin_models_torch.examples.history import say

Figures = Mapping[str, float]


class KeepBest(Callback):
    """Measures the model after each epoch, stops when it gets no better, and ends with its best weights.

    Args:
        measure: a figure of validation, the larger the better.
        patience: epochs without a better figure after which training stops.
    """

    def __init__(self, measure: Callable[[mm.Model], float], *, patience: int) -> None:
        self.measure = measure
        self.patience = patience
        self.best = -float("inf")
        self.epochs = 0
        self._weights: dict[str, Tensor] = {}

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Measures, and keeps the weights if they are the best so far."""
        figure = self.measure(pl_module)
        epoch = trainer.current_epoch + 1
        if figure > self.best:
            self.best, self.epochs = figure, epoch
            self._weights = {name: value.clone() for name, value in pl_module.state_dict().items()}
        trainer.should_stop = epoch - self.epochs >= self.patience

    def on_train_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Puts the best weights back."""
        pl_module.load_state_dict(self._weights)


def fit_best(
    build: Callable[[], mm.Model],
    train: mm.ParquetLoader,
    measure: Callable[[mm.Model], float],
    *,
    seed: int,
    epochs: int,
    patience: int = 2,
) -> tuple[mm.Model, float, int]:
    """Builds and trains a model.

    Args:
        build: makes it, with torch's generator seeded.
        train: training rows.
        measure: a figure of validation, the larger the better.
        seed: of the initial weights and of dropout.
        epochs: at most.
        patience: epochs without a better figure after which training stops.

    Returns:
        The model with its best weights, their figure, and the epochs that they took.
    """
    lightning.seed_everything(seed, verbose=False)
    keeper = KeepBest(measure, patience=patience)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="auto",
        devices=1,
        callbacks=[keeper],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = build()
    trainer.fit(model, train)
    return model.eval(), keeper.best, keeper.epochs


def mean_and_spread(runs: Sequence[Figures]) -> dict[str, dict[str, float]]:
    """Mean and sample standard deviation of each figure over runs; a spread of 0 for a single run."""
    return {
        name: {
            "mean": statistics.fmean(run[name] for run in runs),
            "spread": statistics.stdev(run[name] for run in runs) if len(runs) > 1 else 0.0,
        }
        for name in runs[0]
    }


def show_results(results: Mapping[str, Mapping[str, Mapping[str, float]]], *, digits: int = 4) -> None:
    """A table of systems and their figures, mean and spread."""
    names = list(dict.fromkeys(name for figures in results.values() for name in figures))
    say("\n" + f"{'':32s}" + "".join(f"{name:>20s}" for name in names))
    for system, figures in results.items():
        cells = [
            f"{figures[name]['mean']:.{digits}f} ± {figures[name]['spread']:.{digits}f}"
            if name in figures
            else ""
            for name in names
        ]
        say(f"{system:32s}" + "".join(f"{cell:>20s}" for cell in cells))


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Results as JSON; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    say(f"\nwritten to {path}")


def quiet() -> None:
    """Leaves out what a Trainer says of every small run."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*(num_workers|val_dataloader|`isinstance|training batches).*")
