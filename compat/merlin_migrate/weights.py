"""Legacy weights read from files, of which nothing is run."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

FILES = ("model.safetensors", "pytorch_model.bin", "t4rec_model_class.safetensors")
PICKLED = "t4rec_model_class.pkl"
GUIDE = "migration_guides/checkpoints.md"


class CheckpointError(ValueError):
    """Weights cannot be read, or do not belong to the model."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The state dict in a file, or in a folder that has one. Nothing in the file is run.

    Args:
        path: ``pytorch_model.bin``, a ``.safetensors`` file, a ``.ckpt`` of Lightning, or a folder such as
            ``checkpoint-500``.

    Raises:
        CheckpointError: if there is none, or it holds anything but tensors.
    """
    path = Path(path)
    if path.is_dir():
        found = next((path / name for name in FILES if (path / name).is_file()), None)
        if found is None and (path / PICKLED).is_file():
            raise CheckpointError(why_no_pickle(path / PICKLED))
        if found is None:
            raise CheckpointError(
                f"{path} has none of {', '.join(FILES)}: give the file with the weights, {GUIDE}"
            )
        path = found
    if not path.is_file():
        beside = sorted(str(found) for found in path.parent.glob("checkpoint-*"))
        near = f"there is {', '.join(beside)}" if beside else "give the file with the weights, or its folder"
        raise CheckpointError(f"{path} does not exist: {near}, {GUIDE}")
    if path.suffix == ".pkl":
        raise CheckpointError(why_no_pickle(path))
    if path.suffix == ".safetensors":
        return _safetensors(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} holds more than weights, or is damaged, and is not opened: in the old environment save "
            f"model.state_dict() with torch.save, {GUIDE}"
        ) from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]  # a checkpoint of Lightning
        if all(name.startswith("parent.") for name in state):  # of what to_lightning() gave
            state = {name.removeprefix("parent."): value for name, value in state.items()}
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path} holds no state dict: save model.state_dict(), {GUIDE}")
    return dict(state)


def why_no_pickle(path: str | Path) -> str:
    """Why a pickled model is not read, and how its owner gets at the weights."""
    script = Path(__file__).with_name("unpickle_model.py")
    command = f"python {script.name} {Path(path).name} FOLDER"
    return (
        f"{path} is a pickled model, which runs code when it is read, and is never loaded here: copy "
        f"{script} to where Transformers4Rec 23.12.0 is installed and run `{command}` there; "
        f"FOLDER/model.safetensors then has the weights, {GUIDE}"
    )


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names, metadata = list(file.keys()), file.metadata() or {}
            order = json.loads(metadata.get("order", "[]"))
            return {
                name: file.get_tensor(name) for name in (order if sorted(order) == sorted(names) else names)
            }
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} is no safetensors file, or is damaged: {error}") from error
