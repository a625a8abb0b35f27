"""A model as a folder: JSON, safetensors, schema and vocabularies. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from merlin_models_torch.data import Vocabulary
from merlin_models_torch.schema import Schema
from merlin_models_torch.serialize import from_config, to_config

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

FORMAT = 1
_MANIFEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?")


class SavedModelError(ValueError):
    """A saved folder is incomplete, changed, or not one of ours."""


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
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    if model.is_sharded:
        raise ValueError(
            "the model's tables are shared out to several processes: call unshard_items(model) in all of "
            "them and save it in one, or write a checkpoint by distributed.save_checkpoint()"
        )
    if folder.exists() and not overwrite:
        raise FileExistsError(f"{folder} exists: choose another folder or pass overwrite=True")
    if folder.exists():
        _check_replaceable(folder)
    kept: list[Path] = []
    config, schemas = to_config(model, files=kept)
    work = folder.with_name(f".{folder.name}.{uuid4().hex}")
    work.mkdir(parents=True)
    try:
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
        files = {p.relative_to(work).as_posix(): _digest(p) for p in sorted(work.rglob("*")) if p.is_file()}
        manifest = {"format": FORMAT, "files": files}
        (work / _MANIFEST).write_text(
            json.dumps({**manifest, "digest": _own_digest(manifest)}), encoding="utf-8"
        )
        _replace(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
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
    """
    from safetensors.torch import load_file

    from merlin_models_torch.training.model import Model

    folder = Path(folder)
    files = _verify(folder)
    whole = _json(folder / "config.json")
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


def _digest(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return {"size": path.stat().st_size, "sha256": digest.hexdigest()}


def _own_digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SavedModelError(
            f"{path} cannot be read ({error}): the folder is incomplete, save the model again"
        ) from error
    if not isinstance(value, dict):
        raise SavedModelError(f"{path} does not hold a JSON object: save the model again")
    return value


def _verify(folder: Path) -> set[str]:
    """Every file of the manifest is there and unchanged, and no other: their names."""
    if not folder.is_dir():
        raise SavedModelError(f"{folder} is not a folder: give the path that was passed to save()")
    manifest = _json(folder / _MANIFEST)
    stated = manifest.pop("digest", None)
    files = manifest.get("files")
    if stated != _own_digest(manifest) or not isinstance(files, dict) or not files.keys() >= {"config.json"}:
        raise SavedModelError(f"{folder / _MANIFEST} was changed: restore it or save the model again")
    for name, digest in files.items():
        path = folder / name
        if not _NAME.fullmatch(name) or path.is_symlink() or path.parent.is_symlink():
            raise SavedModelError(
                f"{folder} names {name!r}, which is no plain file inside it: do not use this folder"
            )
        if not path.is_file():
            raise SavedModelError(f"{name} is missing in {folder}: restore it or save the model again")
        if _digest(path) != digest:
            raise SavedModelError(
                f"{name} in {folder} was changed after saving: restore it or save the model again"
            )
    foreign = _foreign(folder, files)
    if foreign is not None:
        raise SavedModelError(f"{foreign} in {folder} is not part of the saved model: move it elsewhere")
    return set(files)


def _foreign(folder: Path, files: Iterable[str]) -> str | None:
    """The first thing in the folder that is neither the manifest nor one of these files or their folders."""
    known = {_MANIFEST, *files}
    folders = {name.rpartition("/")[0] for name in known} - {""}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or name not in (folders if path.is_dir() else known):
            return name
    return None


def _check_replaceable(folder: Path) -> None:
    if not (folder / _MANIFEST).is_file():
        raise FileExistsError(f"{folder} is not a saved model and is not replaced: choose another folder")
    foreign = _foreign(folder, _json(folder / _MANIFEST).get("files", {}))
    if foreign is not None:
        raise FileExistsError(
            f"{folder} holds {foreign}, which is not part of a saved model: move it elsewhere first"
        )


def _replace(work: Path, folder: Path) -> None:
    old = None
    if folder.exists():
        old = folder.with_name(f".{folder.name}.old.{uuid4().hex}")
        folder.rename(old)
    work.rename(folder)
    if old is not None:
        shutil.rmtree(old)
