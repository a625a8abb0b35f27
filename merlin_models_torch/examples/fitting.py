"""What the next-item examples share: a training run with its clock, and a table of figures."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, Timer

import merlin_models_torch as mm
from merlin_models_torch.examples.history import History, say


def fit(
    model: mm.Model,
    data: mm.SessionDataModule,
    *,
    folder: Path,
    epochs: int,
    metric: str,
    minutes: float | None = None,
    validate_every: int = 1,
    clip: float | None = None,
    bf16: bool = False,
) -> tuple[lightning.Trainer, float]:
    """Trains with a line for each epoch; ends with the best weights of validation, if something is validated.

    Args:
        model: to train.
        data: training rows, and those of validation if there are some.
        folder: where checkpoints go.
        epochs: at most.
        metric: of validation, such as "ndcg_at_10"; decides on the best weights.
        minutes: training stops after this long.
        validate_every: epochs from one validation to the next.
        clip: largest norm of the gradients.
        bf16: whether matrix products are made in bfloat16.

    Returns:
        The trainer, for the test, and the minutes that training took.
    """
    callbacks: list[Callback] = [History(metric=metric)]
    best = ModelCheckpoint(folder, monitor=f"val_{metric}", mode="max", save_weights_only=True)
    validated = bool(data.files.valid)
    if validated:
        callbacks.append(best)
    if minutes is not None:
        callbacks.append(Timer(timedelta(minutes=minutes), verbose=False))
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="auto",
        devices=1,
        precision="bf16-mixed" if bf16 else "32-true",
        callbacks=callbacks,
        limit_val_batches=1.0 if validated else 0,
        check_val_every_n_epoch=validate_every,
        num_sanity_val_steps=0,
        gradient_clip_val=clip,
        logger=False,
        enable_checkpointing=validated,
        enable_progress_bar=sys.stdout.isatty(),
        enable_model_summary=False,
    )
    started = time.monotonic()
    trainer.fit(model, datamodule=data)
    took = (time.monotonic() - started) / 60
    say(f"trained in {took:.1f} minutes, {torch.get_num_threads()} threads")
    if validated:
        model.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])
    return trainer, took


def show_table(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[float]]], *, digits: int) -> None:
    """A line for each system, with its figures in the order of the columns."""
    say(f"\n{'':40s}" + "".join(f"{column:>9s}" for column in columns))
    for name, figures in rows:
        say(f"{name:40s}" + "".join(f"{figure:9.{digits}f}" for figure in figures))
