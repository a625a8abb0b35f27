"""The end of a program that ran in several processes: see :mod:`merlin_models_torch._processes`."""

from __future__ import annotations

import atexit
from typing import Any
from weakref import WeakSet

from merlin_models_torch import _processes as groups

_trainers: WeakSet[Any] = WeakSet()

has_group = groups.has_group


def destroy_group_at_exit() -> None:
    """The process group is destroyed when the program ends; for who had it made.

    Neither Hugging Face's Trainer nor accelerate destroys it.
    """
    groups.destroy_group_at_exit()
    atexit.register(_let_go)  # called before what was registered before


def let_go_at_exit(trainer: Any) -> None:
    """A trainer holds the group by the model that it wraps; it lets go before the group is destroyed."""
    _trainers.add(trainer)


def _let_go() -> None:
    for trainer in _trainers if has_group() else ():
        trainer.model_wrapped = trainer.model
        trainer.accelerator.free_memory()
