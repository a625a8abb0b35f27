"""Checkpoints that each process writes its part of, and that any number of processes reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim import Optimizer

if TYPE_CHECKING:
    from torch.distributed.checkpoint.state_dict import StateDictOptions

_WEIGHTS = "state_dict"


def save_checkpoint(folder: str | Path, model: nn.Module, *optimizers: Optimizer) -> Path:
    """Writes the weights of a model and the state of its optimizers.

    Every process writes what it holds, so that no process ever holds everything. All of them call this.

    Args:
        folder: is made where it is missing; the same for all processes.
        model: with sharded weights or without.
        optimizers: of this model.

    Returns:
        The folder, of ``torch.distributed.checkpoint``.
    """
    from torch.distributed.checkpoint.state_dict_saver import save

    save(_states(model, optimizers), checkpoint_id=str(folder), no_dist=_alone())
    return Path(folder)


def load_checkpoint(folder: str | Path, model: nn.Module, *optimizers: Optimizer) -> None:
    """Reads what :func:`save_checkpoint` wrote, with as many processes as there are now.

    Args:
        folder: that was written, by any number of processes.
        model: of the same sizes; sharded over the processes there are, or whole, where there may be none.
        optimizers: as they were saved, or none.
    """
    from torch.distributed.checkpoint.state_dict import set_model_state_dict, set_optimizer_state_dict
    from torch.distributed.checkpoint.state_dict_loader import load

    states = _states(model, optimizers)
    load(states, checkpoint_id=str(folder), no_dist=_alone())
    set_model_state_dict(model, states[_WEIGHTS])
    for number, optimizer in enumerate(optimizers):
        set_optimizer_state_dict(model, optimizer, states[f"optimizer_{number}"], options=_by_name())


def _states(model: nn.Module, optimizers: tuple[Optimizer, ...]) -> dict[str, Any]:
    from torch.distributed.checkpoint.state_dict import get_model_state_dict, get_optimizer_state_dict

    states: dict[str, Any] = {_WEIGHTS: get_model_state_dict(model)}
    for number, optimizer in enumerate(optimizers):
        states[f"optimizer_{number}"] = get_optimizer_state_dict(model, optimizer, options=_by_name())
    return states


def _by_name() -> StateDictOptions:
    # Settings and state by name of the parameter: groups differ with the number of processes.
    from torch.distributed.checkpoint.state_dict import StateDictOptions

    return StateDictOptions(flatten_optimizer_state_dict=True)


def _alone() -> bool:
    return not torch.distributed.is_initialized()
