"""Losses of a training run, kept for a curve and told line by line."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from merlin_models_torch.examples.report import Losses
from merlin_models_torch.reporting.ranking import heading

_POINTS_AN_EPOCH = 10


class History(Callback):
    """Keeps training and validation losses, and writes a line after each validation.

    Where nothing is validated it writes one after each epoch.

    Args:
        metric: a measure of validation to tell beside the losses, such as "ndcg_at_10".
    """

    def __init__(self, *, metric: str | None = None) -> None:
        self.metric = metric
        self.train: list[tuple[float, float]] = []
        self.validation: list[tuple[float, float]] = []
        self._recent: list[Tensor] = []
        self._started = time.monotonic()

    def losses(self, *, chance: float | None = None) -> Losses:
        """What a report draws.

        Args:
            chance: the loss of giving every item the same probability.
        """
        return Losses(tuple(self.train), tuple(self.validation), chance)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Keeps the mean loss of each tenth of an epoch."""
        loss = outputs["loss"] if isinstance(outputs, Mapping) else outputs
        if loss is None:
            return
        self._recent.append(loss.detach())
        steps, done = int(trainer.num_training_batches), batch_idx + 1
        if done * _POINTS_AN_EPOCH // steps > batch_idx * _POINTS_AN_EPOCH // steps:
            mean = sum(value.item() for value in self._recent) / len(self._recent)
            self.train.append((trainer.current_epoch + done / steps, mean))
            self._recent.clear()

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keeps the validation loss and writes the line."""
        values = trainer.callback_metrics
        if trainer.sanity_checking or not self.train or "val_loss" not in values:
            return
        self.validation.append((float(trainer.current_epoch + 1), values["val_loss"].item()))
        parts = [f"validation {self.validation[-1][1]:.3f}"]
        if self.metric is not None and f"val_{self.metric}" in values:
            parts.append(f"{heading(self.metric)} {values[f'val_{self.metric}'].item():.3f}")
        self._tell(trainer, parts)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Writes the line where there is no validation to do it."""
        if not sum(trainer.num_val_batches):
            self._tell(trainer, [])

    def _tell(self, trainer: lightning.Trainer, measured: Sequence[str]) -> None:
        epoch, seconds = trainer.current_epoch + 1, time.monotonic() - self._started
        line = "   ".join(
            [f"epoch {epoch:3d}", f"loss {self.train[-1][1]:.3f}", *measured, f"{seconds:.0f} s"]
        )
        bar = trainer.progress_bar_callback
        # A line written past the bar would be torn apart by it.
        if bar is None:
            say(line)
        else:
            bar.print(line)


def say(text: str = "") -> None:
    """A line to the terminal, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
