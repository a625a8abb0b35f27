"""Schedules of the learning rate, as the Trainer of Transformers4Rec makes them."""

from __future__ import annotations

import inspect
from typing import Any

from torch.optim import Optimizer
from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION
from transformers.optimization import get_scheduler as hugging_face_scheduler
from transformers.trainer_utils import SchedulerType


def get_scheduler(
    name: str | SchedulerType,
    optimizer: Optimizer,
    num_warmup_steps: int | None = None,
    num_training_steps: int | None = None,
    num_cycles: float | None = 0.5,
) -> Any:
    """A schedule of Hugging Face by name.

    Args:
        name: of the schedule.
        optimizer: what it moves.
        num_warmup_steps: steps in which the rate rises from 0.
        num_training_steps: all steps.
        num_cycles: waves of the schedules that have some.

    Raises:
        ValueError: if the schedule needs a number of steps that is not given.
    """
    name = SchedulerType(name)
    waves = "num_cycles" in inspect.signature(TYPE_TO_SCHEDULER_FUNCTION[name]).parameters
    return hugging_face_scheduler(
        name,
        optimizer,
        num_warmup_steps=num_warmup_steps,
        num_training_steps=num_training_steps,
        scheduler_specific_kwargs={"num_cycles": num_cycles} if waves else None,
    )
