"""Checkpoints that each process writes its part of, and that any number of processes reads.

Tensors go to safetensors files and settings to JSON, so that reading one never unpickles anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from merlin_models_torch.storage import WriteError, new_folder, read_json, verify

if TYPE_CHECKING:
    from torch.distributed.checkpoint.state_dict import StateDictOptions

_WEIGHTS = "state_dict"
_SETTINGS = "settings.json"
# Bytes of a file's name at most, as Linux has it.
_LONGEST = 255


def save_checkpoint(folder: str | Path, model: nn.Module, *optimizers: Optimizer) -> Path:
    """Writes the weights of a model and the state of its optimizers.

    Every process writes what it holds, so that no process ever holds everything. All of them call this. A
    checkpoint that is there stays until the new one is whole and takes its place.

    Args:
        folder: to make, or with an earlier checkpoint to replace; the same for all processes, which see one
            file system.
        model: with sharded weights or without.
        optimizers: of this model.

    Returns:
        The folder: safetensors files, the optimizers' settings, and a manifest of both.

    Raises:
        TypeError: if an optimizer has a setting that JSON cannot hold.
        FileExistsError: in the first process, if something else is in the folder.
        WriteError: if a process cannot write its part; an ``OSError``.
        RuntimeError: in the other processes, if the first one failed.

    Example:
        >>> folder = save_checkpoint("checkpoint", shard_items(model))
        >>> load_checkpoint(folder, unshard_items(model))  # or over another number of processes
        >>> sorted(path.suffix for path in folder.iterdir())
        ['.json', '.json', '.safetensors']
    """
    return write_checkpoint(folder, model, optimizers, {})


def write_checkpoint(
    folder: str | Path, model: nn.Module, optimizers: Sequence[Optimizer], beside: Mapping[str, bytes]
) -> Path:
    """What :func:`save_checkpoint` does, with further files, by name, which the first process writes."""
    from torch.distributed.checkpoint.api import CheckpointException

    path = Path(folder)
    try:
        return _written(path, model, optimizers, beside)
    except CheckpointException as error:
        # Of torch's own, which all processes get at the same place, and which is no Exception.
        process, (reason, _) = next(iter(error.failures.items()))
        raise WriteError(
            f"{path} could not be written (process {process}: {reason}) and is as it was before: make room "
            "on the disk, or see to it that all processes may write there, and run this again"
        ) from error


def _written(
    path: Path, model: nn.Module, optimizers: Sequence[Optimizer], beside: Mapping[str, bytes]
) -> Path:
    tensors, settings = _parted(_states(model, optimizers))
    text = json.dumps(settings, indent=2)
    device = next(iter(model.parameters())).device
    if not _first():
        _write(path.with_name(_heard(path, device)), tensors)
        _heard(path, device)
        return path
    try:
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        with new_folder(path, overwrite=True) as work:
            _told(work.name, device)
            _write(work, tensors)
            (work / _SETTINGS).write_text(text)
            for name, content in beside.items():
                (work / name).write_bytes(content)
    except Exception:
        _told("", device)
        raise
    _told(path.name, device)
    return path


def _write(folder: Path, tensors: dict[str, dict[str, Any]]) -> None:
    """The tensors that this process holds; done when all processes are."""
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    save(tensors, storage_writer=writer, no_dist=_alone())


def _heard(path: Path, device: torch.device) -> str:
    """The name of a folder that the first process tells this one.

    Raises:
        RuntimeError: if it failed.
    """
    name = _told("", device)
    if not name:
        raise RuntimeError(
            f"{path} was not written: the first process could not, and its own error says why; mend that "
            "and run this again in all processes"
        )
    return name


def _told(name: str, device: torch.device) -> str:
    """The name of a folder that the first process tells the others; empty if it failed."""
    if _alone():
        return name
    told = torch.tensor([*name.encode().ljust(_LONGEST, b"\0")], dtype=torch.uint8, device=device)
    torch.distributed.broadcast(told, 0)
    return bytes(told.tolist()).rstrip(b"\0").decode()


def load_checkpoint(folder: str | Path, model: nn.Module, *optimizers: Optimizer) -> None:
    """Reads what :func:`save_checkpoint` wrote, with as many processes as there are now.

    Args:
        folder: that was written, by any number of processes.
        model: of the same sizes; sharded over the processes there are, or whole, where there may be none.
        optimizers: as they were saved, or none.

    Raises:
        ValueError: if the folder is not a checkpoint, or a file of it is missing, changed or foreign.

    Example:
        >>> optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        >>> folder = save_checkpoint("checkpoint", model, optimizer)
        >>> optimizer.param_groups[0]["lr"] = 0.2
        >>> load_checkpoint(folder, model, optimizer)
        >>> optimizer.param_groups[0]["lr"]
        0.1
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict import set_model_state_dict, set_optimizer_state_dict
    from torch.distributed.checkpoint.state_dict_loader import load

    path = Path(folder)
    if not (path / _SETTINGS).is_file():
        raise ValueError(
            f"{path} has no {_SETTINGS}, expected one that save_checkpoint() wrote to its end: take another"
        )
    verify(path, again="save the checkpoint again")
    settings = read_json(path / _SETTINGS, again="save the checkpoint again")
    tensors, own = _parted(_states(model, optimizers))
    load(tensors, storage_reader=HuggingFaceStorageReader(str(path)), no_dist=_alone())
    set_model_state_dict(model, tensors[_WEIGHTS])
    for number, optimizer in enumerate(optimizers):
        name = f"optimizer_{number}"
        set_optimizer_state_dict(
            model, optimizer, {**own[name], **settings[name], **tensors[name]}, options=_by_name()
        )


def _parted(states: dict[str, dict[str, Any]]) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The tensors of some states, and all else."""
    tensors = {
        part: {n: v for n, v in state.items() if isinstance(v, Tensor)} for part, state in states.items()
    }
    rest = {
        part: {n: v for n, v in state.items() if not isinstance(v, Tensor)} for part, state in states.items()
    }
    return tensors, rest


def _states(model: nn.Module, optimizers: Sequence[Optimizer]) -> dict[str, dict[str, Any]]:
    from torch.distributed.checkpoint.state_dict import get_model_state_dict, get_optimizer_state_dict

    states: dict[str, dict[str, Any]] = {_WEIGHTS: dict(get_model_state_dict(model))}
    for number, optimizer in enumerate(optimizers):
        states[f"optimizer_{number}"] = dict(get_optimizer_state_dict(model, optimizer, options=_by_name()))
    return states


def _by_name() -> StateDictOptions:
    # Settings and state by name of the parameter: groups differ with the number of processes.
    from torch.distributed.checkpoint.state_dict import StateDictOptions

    return StateDictOptions(flatten_optimizer_state_dict=True)


def _alone() -> bool:
    return not torch.distributed.is_initialized()


def _first() -> bool:
    return _alone() or torch.distributed.get_rank() == 0
