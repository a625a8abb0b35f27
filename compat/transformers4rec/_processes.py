"""The end of a program that ran in several processes.

A thread of torch's gloo group that lets go of a tensor while Python shuts down is ended by Python in the
middle of a destructor, which aborts the process ("terminate called without an active exception"). A group
that is gone before has no threads. Neither Hugging Face's Trainer nor accelerate destroys the group it makes.
"""

from __future__ import annotations

import atexit
from typing import Any
from weakref import WeakSet

import torch

_trainers: WeakSet[Any] = WeakSet()


def has_group() -> bool:
    """Whether this process belongs to a process group."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def destroy_group_at_exit() -> None:
    """The process group is destroyed when the program ends; for who had it made."""
    atexit.register(_destroy_group)


def let_go_at_exit(trainer: Any) -> None:
    """A trainer holds the group by the model that it wraps; it lets go before the group is destroyed."""
    _trainers.add(trainer)


def _destroy_group() -> None:
    if not has_group():
        return
    for trainer in _trainers:
        trainer.model_wrapped = trainer.model
        trainer.accelerator.free_memory()
    torch.distributed.destroy_process_group()
