"""What is logged, under the names and roundings of Transformers4Rec and transformers 4.30."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import copy
from typing import Any


def renamed(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics of evaluation keep the prefix ``eval_``, by which loggers know them.

    Args:
        logs: values by name.
    """
    return {re.sub("^eval/", "eval_", name).replace("train/", ""): value for name, value in logs.items()}


def of_training(logs: dict[str, Any], rate: float) -> dict[str, Any]:
    """The entry of a training step as transformers 4.30 wrote it: the loss to four places, the next rate.

    Args:
        logs: as transformers 5 writes them, with the rate of the step and the norm of the gradients.
        rate: of the next step.
    """
    kept = {name: value for name, value in logs.items() if name != "grad_norm"}
    return {**kept, "loss": round(kept["loss"], 4), "learning_rate": rate}


def write(trainer: Any, logs: dict[str, Any], step: int) -> None:
    """Adds an entry to the history, and tells the callbacks.

    Args:
        trainer: of Hugging Face.
        logs: values by name.
        step: that they belong to.
    """
    if trainer.state.epoch is not None:
        logs["epoch"] = round(trainer.state.epoch, 2)
    trainer.state.log_history.append({**logs, "step": step})
    # Schedules and callbacks count on with the steps of the state, so another number goes into a copy.
    state = trainer.state
    if step != state.global_step:
        state = copy(state)
        state.global_step = step
    trainer.control = trainer.callback_handler.on_log(trainer.args, state, trainer.control, logs)
