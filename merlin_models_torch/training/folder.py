"""Folders that appear whole or not at all, with the size and SHA-256 of everything in them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

FORMAT = 1
MANIFEST = "manifest.json"


class SavedModelError(ValueError):
    """A saved folder is incomplete, changed, or not one of ours."""


@contextmanager
def new_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A folder to write into, which gets its name and a manifest when everything is written.

    Args:
        folder: to make.
        overwrite: replace the folder if one made by this is there.

    Yields:
        The folder to write into, beside the one to make; removed if writing fails.

    Raises:
        FileExistsError: as :func:`check_new`.
    """
    check_new(folder, overwrite=overwrite)
    work = folder.with_name(f".{folder.name}.{uuid4().hex}")
    work.mkdir(parents=True)
    try:
        yield work
        files = {p.relative_to(work).as_posix(): digest_of(p) for p in sorted(work.rglob("*")) if p.is_file()}
        manifest = {"format": FORMAT, "files": files}
        (work / MANIFEST).write_text(
            json.dumps({**manifest, "digest": own_digest(manifest)}), encoding="utf-8"
        )
        _replace(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def check_new(folder: Path, *, overwrite: bool) -> None:
    """Refuses a folder that is there and is not to be replaced, or is none that may be.

    Raises:
        FileExistsError: if so.
    """
    if not folder.exists():
        return
    if not overwrite:
        raise FileExistsError(f"{folder} exists: choose another folder or pass overwrite=True")
    if not (folder / MANIFEST).is_file():
        raise FileExistsError(f"{folder} is not a saved model and is not replaced: choose another folder")
    foreign = foreign_in(folder, read_json(folder / MANIFEST).get("files", {}))
    if foreign is not None:
        raise FileExistsError(
            f"{folder} holds {foreign}, which is not part of a saved model: move it elsewhere first"
        )


def foreign_in(folder: Path, files: Iterable[str]) -> str | None:
    """The first thing in the folder that is neither the manifest nor one of these files or their folders."""
    known = {MANIFEST, *files}
    folders = {name.rpartition("/")[0] for name in known} - {""}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or name not in (folders if path.is_dir() else known):
            return name
    return None


def digest_of(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return {"size": path.stat().st_size, "sha256": digest.hexdigest()}


def own_digest(manifest: dict[str, Any]) -> str:
    """SHA-256 of what a manifest says."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a saved folder.

    Raises:
        SavedModelError: if there is none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SavedModelError(
            f"{path} cannot be read ({error}): the folder is incomplete, save the model again"
        ) from error
    if not isinstance(value, dict):
        raise SavedModelError(f"{path} does not hold a JSON object: save the model again")
    return value


def _replace(work: Path, folder: Path) -> None:
    old = None
    if folder.exists():
        old = folder.with_name(f".{folder.name}.old.{uuid4().hex}")
        folder.rename(old)
    work.rename(folder)
    if old is not None:
        shutil.rmtree(old)
