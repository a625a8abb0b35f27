"""The two files of a saved model."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from merlin_models_torch.storage import whole_file
from merlin_models_torch.storage.bounds import within
from merlin_models_torch.storage.manifest import own_digest
from transformers4rec.torch.model._saved.names import SavedModelError
from transformers4rec.torch.model._saved.reader import Reader
from transformers4rec.torch.model._saved.writer import Writer

FORMAT = 1


def save(model: Any, folder: str | os.PathLike[str], name: str) -> None:
    """Writes ``<name>.json``, how to build the model, and ``<name>.safetensors``, its weights.

    Files of an earlier call are replaced, each whole.

    Args:
        model: the model.
        folder: made if it is not there.
        name: of the files.

    Raises:
        SavedModelError: if part of the model is not of this library; nothing is written then.
    """
    from safetensors.torch import save as to_bytes

    writer = Writer()
    content = writer.write(model, "")
    weights = to_bytes({place: tensor.cpu().clone().contiguous() for place, tensor in writer.tensors.items()})
    said = {"format": FORMAT, "sha256": hashlib.sha256(weights).hexdigest(), "model": content}
    # As it will be read: JSON turns numbers that are keys into text.
    said = json.loads(json.dumps(said))
    whole = {**said, "digest": own_digest(said)}
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    for file, held in ((f"{name}.safetensors", weights), (f"{name}.json", _text(whole))):
        with whole_file(folder / file) as work:
            work.write_bytes(held)


def load(folder: str | os.PathLike[str], name: str) -> Any:
    """The model that :func:`save` wrote.

    Raises:
        FileNotFoundError: if it is not there.
        NotImplementedError: if there is a pickle of Transformers4Rec instead.
        SavedModelError: if the files are damaged, do not belong together, or name what is not trusted.
    """
    from safetensors.torch import load as from_bytes

    config, weights = Path(folder) / f"{name}.json", Path(folder) / f"{name}.safetensors"
    if not config.is_file() and config.with_suffix(".pkl").is_file():
        from merlin_migrate.weights import why_no_pickle

        raise NotImplementedError(why_no_pickle(config.with_suffix(".pkl")))
    if not config.is_file():
        raise FileNotFoundError(
            f"there is no saved model {config}: Model.save writes one; where there are weights alone, "
            "such as pytorch_model.bin, build the model and give it to load_state_dict, or as model="
        )
    content, stored = config.read_bytes(), weights.read_bytes()
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SavedModelError(f"{config} is no JSON: save the model again") from error
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise SavedModelError(f"{config} is not of format {FORMAT}, which this version reads: save again")
    said = {key: value for key, value in whole.items() if key != "digest"}
    # Also what JSON reads as the same.
    if own_digest(said) != whole.get("digest") or content != _text(whole):
        raise SavedModelError(f"{config} was changed after it was written: save the model again")
    if hashlib.sha256(stored).hexdigest() != whole.get("sha256"):
        raise SavedModelError(f"{weights} was changed or is of another model: save the model again")
    try:
        tensors = from_bytes(stored)
        with within({place: tuple(tensor.shape) for place, tensor in tensors.items()}):
            return Reader(tensors).read(whole.get("model"))
    except SavedModelError as error:
        raise SavedModelError(f"{config}: {error}") from error
    except Exception as error:
        # Whatever a constructor runs into: what is built is a stranger's.
        raise SavedModelError(
            f"{config} cannot be built by this version ({error}): save the model again with it, or load the "
            "weights into a model built in the program"
        ) from error


def _text(whole: dict[str, Any]) -> bytes:
    return json.dumps(whole, indent=1).encode()
