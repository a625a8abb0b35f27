"""A model as a folder: JSON, safetensors, schema and vocabularies. Nothing is ever unpickled."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from merlin_models_torch.data import Vocabulary
from merlin_models_torch.schema import Schema
from merlin_models_torch.serialize import from_config, to_config
from merlin_models_torch.training.folder import (
    FORMAT,
    MANIFEST,
    SavedModelError,
    check_new,
    digest_of,
    foreign_in,
    new_folder,
    own_digest,
    read_json,
)

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?")


def save(model: Model, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Writes a model to a folder that :func:`load` builds it from again, with bit-equal answers.

    The folder appears whole or not at all: it is written under a temporary name beside it and renamed.

    Args:
        model: a model whose parameters all have their size.
        folder: to make.
        overwrite: replace the folder if a saved model is there.

    Returns:
        The folder: ``config.json`` (how to build the model), ``model.safetensors``, ``schema.pbtxt``,
        ``vocabulary/*.parquet``, ``files/*`` (copies of files that the model reads) and ``manifest.json``
        (size and SHA-256 of each).

    Raises:
        FileExistsError: if the folder exists and is not to be replaced.
        ValueError: if the model's tables are shared out to several processes.
        ConfigError: if a part of the model cannot be built again from its arguments.

    Example:
        >>> folder = save(model, "saved", overwrite=True)
        >>> sorted(path.name for path in folder.iterdir())
        ['config.json', 'manifest.json', 'model.safetensors', 'schema.pbtxt', 'vocabulary']
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    if model.is_sharded:
        raise ValueError(
            "the model's tables are shared out to several processes: call unshard_items(model) in all of "
            "them and save it in one, or write a checkpoint by distributed.save_checkpoint()"
        )
    check_new(folder, overwrite=overwrite)
    kept: list[Path] = []
    config, schemas = to_config(model, files=kept)
    with new_folder(folder, overwrite=overwrite) as work:
        for number, schema in enumerate(schemas):
            schema.save(work / _schema_name(number))
        copies = [f"files/{number}{path.suffix}" for number, path in enumerate(kept)]
        for path, name in zip(kept, copies, strict=True):
            (work / "files").mkdir(exist_ok=True)
            shutil.copyfile(path, work / name)
        vocabularies = {
            domain: f"vocabulary/{number}.parquet" for number, domain in enumerate(model.vocabularies)
        }
        if vocabularies:
            (work / "vocabulary").mkdir()
        for domain, name in vocabularies.items():
            model.vocabularies[domain].save(work / name)
        save_file(
            {name: t.detach().contiguous() for name, t in model.state_dict().items()},
            work / "model.safetensors",
        )
        whole = {
            "format": FORMAT,
            "model": config,
            "schemas": len(schemas),
            "files": copies,
            "vocabularies": vocabularies,
        }
        (work / "config.json").write_text(json.dumps(whole, indent=1), encoding="utf-8")
    return folder


def load(folder: str | Path, *, trusted: Iterable[str] = ()) -> Model:
    """Builds a saved model.

    Args:
        folder: written by :meth:`Model.save`.
        trusted: further packages whose classes may be built. Only name packages that you would import.

    Returns:
        The model in evaluation mode.

    Raises:
        SavedModelError: for a missing, changed or foreign file, named, before anything is built.
        ConfigError: for a class outside the trusted packages.

    Example:
        >>> folder = model.save("saved")
        >>> again = mm.load(folder)
        >>> again.predict(files.test[0], k=3).equals(model.predict(files.test[0], k=3))
        True
    """
    from safetensors.torch import load_file

    from merlin_models_torch.training.model import Model

    folder = Path(folder)
    files = _verify(folder)
    whole = read_json(folder / "config.json")
    if whole.get("format") != FORMAT:
        raise SavedModelError(
            f"{folder} has format {whole.get('format')!r}, this version reads {FORMAT}: load it with the "
            "version of merlin-models-torch that wrote it"
        )
    for name in [*whole["files"], *whole["vocabularies"].values()]:
        if name not in files:
            raise SavedModelError(
                f"the config in {folder} names {name!r}, which is not part of the saved model"
            )
    schemas = [Schema.load(folder / _schema_name(number)) for number in range(whole["schemas"])]
    copies = [folder / name for name in whole["files"]]
    model = from_config(whole["model"], schemas, files=copies, trusted=trusted)
    if not isinstance(model, Model):
        raise SavedModelError(f"{folder} holds a {type(model).__name__}, expected a Model")
    weights = load_file(folder / "model.safetensors")
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in weights.items()}
    if expected != found:
        odd = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise SavedModelError(
            f"the weights in {folder} do not fit its config: {', '.join(odd[:5])}; save it again"
        )
    model.load_state_dict(weights)
    model.vocabularies = {d: Vocabulary.load(folder / name) for d, name in whole["vocabularies"].items()}
    return model.eval()


def _schema_name(number: int) -> str:
    return "schema.pbtxt" if number == 0 else f"schema_{number}.pbtxt"


def _verify(folder: Path) -> set[str]:
    """Every file of the manifest is there and unchanged, and no other: their names."""
    if not folder.is_dir():
        raise SavedModelError(f"{folder} is not a folder: give the path that was passed to save()")
    manifest = read_json(folder / MANIFEST)
    stated = manifest.pop("digest", None)
    files = manifest.get("files")
    if stated != own_digest(manifest) or not isinstance(files, dict) or not files.keys() >= {"config.json"}:
        raise SavedModelError(f"{folder / MANIFEST} was changed: restore it or save the model again")
    for name, digest in files.items():
        path = folder / name
        if not _NAME.fullmatch(name) or path.is_symlink() or path.parent.is_symlink():
            raise SavedModelError(
                f"{folder} names {name!r}, which is no plain file inside it: do not use this folder"
            )
        if not path.is_file():
            raise SavedModelError(f"{name} is missing in {folder}: restore it or save the model again")
        if digest_of(path) != digest:
            raise SavedModelError(
                f"{name} in {folder} was changed after saving: restore it or save the model again"
            )
    foreign = foreign_in(folder, files)
    if foreign is not None:
        raise SavedModelError(f"{foreign} in {folder} is not part of the saved model: move it elsewhere")
    return set(files)
