"""Checkpoints as Transformers4Rec wrote them, read without running code."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

_BIN, _SAFE = "pytorch_model.bin", "model.safetensors"


def save(args: Any, folder: str, state: dict[str, Tensor]) -> None:
    """Writes the weights of a model, and the arguments of training as Hugging Face does.

    Args:
        args: arguments; ``save_safetensors`` chooses the kind of file.
        folder: made if it is not there.
        state: weights by name. Names that share a tensor are all written.
    """
    os.makedirs(folder, exist_ok=True)
    if getattr(args, "save_safetensors", False):
        from safetensors.torch import save_file

        # safetensors refuses tensors that share memory.
        separate = {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}
        save_file(separate, os.path.join(folder, _SAFE), metadata={"format": "pt"})
    else:
        torch.save(state, os.path.join(folder, _BIN))
    torch.save(args, os.path.join(folder, "training_args.bin"))


def weights(folder: str) -> dict[str, Tensor]:
    """The weights in a checkpoint.

    Raises:
        FileNotFoundError: if it has none.
    """
    if os.path.isfile(os.path.join(folder, _SAFE)):
        from safetensors.torch import load_file

        return load_file(os.path.join(folder, _SAFE))
    if not os.path.isfile(os.path.join(folder, _BIN)):
        raise FileNotFoundError(f"{folder} has neither {_BIN} nor {_SAFE}: give the folder of a checkpoint")
    return torch.load(os.path.join(folder, _BIN), map_location="cpu", weights_only=True)


@contextmanager
def random_states() -> Iterator[None]:
    """Lets torch read random states, also those that NumPy 1 wrote; nothing else than arrays is made."""
    from transformers.trainer_pt_utils import safe_globals

    remake = np._core.multiarray._reconstruct  # type: ignore[attr-defined]
    with safe_globals(), torch.serialization.safe_globals([(remake, "numpy.core.multiarray._reconstruct")]):
        yield


def load(folder: str, model: Any) -> Any:
    """The model with the weights of a checkpoint; random states become those of the checkpoint too.

    Args:
        folder: the checkpoint.
        model: built as the one that was saved.
    """
    model.load_state_dict(weights(folder))
    file = os.path.join(folder, "rng_state.pth")
    if os.path.isfile(file):
        with random_states():
            states = torch.load(file, map_location="cpu", weights_only=True)
        random.setstate(states["python"])
        np.random.set_state(states["numpy"])
        torch.random.set_rng_state(states["cpu"])
        if torch.cuda.is_available() and "cuda" in states:
            torch.cuda.random.set_rng_state(states["cuda"])
    return model


@contextmanager
def completed_state(folder: str | None, since: dict[str, Any]) -> Iterator[str | None]:
    """A folder with the Trainer's state of a checkpoint, and in it what transformers 4.30 did not write.

    Args:
        folder: the checkpoint, which stays as it is; None for none.
        since: what newer checkpoints hold, for one that does not.
    """
    file = os.path.join(folder or "", "trainer_state.json")
    if folder is None or not os.path.isfile(file):
        yield folder
        return
    with open(file, encoding="utf-8") as opened:
        state = json.load(opened)
    with tempfile.TemporaryDirectory() as other:
        with open(os.path.join(other, "trainer_state.json"), "w", encoding="utf-8") as opened:
            json.dump({**since, **state}, opened)
        yield other
