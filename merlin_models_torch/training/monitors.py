"""Callbacks and schedules that look at a metric: its name is checked before training, not after an epoch."""

from __future__ import annotations

from collections.abc import Sequence

import lightning
from lightning.pytorch.callbacks import Callback, ModelCheckpoint


def check_monitors(trainer: lightning.Trainer, names: Sequence[str]) -> None:
    """Refuses to look at a metric that is not logged.

    Args:
        trainer: at the start of a fit.
        names: what the model logs, by stage; nothing is checked if they are not known.

    Raises:
        ValueError: with the callback and the names that there are.
    """
    if not names:
        return
    logged = [name for name in names if not name.startswith("test_")]
    for who, monitor in _monitors(trainer):
        if monitor not in logged:
            raise ValueError(
                f"{who} looks at {monitor!r}, which is not logged: choose one of {', '.join(logged)}; what a "
                "callback of yours logs is to be named in the model's also_logged"
            )
        if monitor.startswith("val_") and not trainer.enable_validation:
            raise ValueError(
                f"{who} looks at {monitor!r}, but there is no validation data: give fit() some, or look at "
                "'train_loss'"
            )


def _monitors(trainer: lightning.Trainer) -> list[tuple[str, str]]:
    """Who looks at what."""
    found = []
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        # Which it knows by itself.
        known = isinstance(callback, ModelCheckpoint) and monitor in ("epoch", "step")
        if isinstance(monitor, str) and not known and getattr(callback, "strict", True):
            found.append((type(callback).__name__, monitor))
    for config in trainer.lr_scheduler_configs:
        if config.reduce_on_plateau and config.strict and config.monitor is not None:
            found.append((type(config.scheduler).__name__, config.monitor))
    return found
