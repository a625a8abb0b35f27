"""What a folder holds: the size and SHA-256 of every file, and that nothing else is there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FORMAT = 1
MANIFEST = "manifest.json"
# One name, or one in a folder; none begins with a dot.
_NAME = re.compile(r"[^\x00-\x1f/\\.][^\x00-\x1f/\\]*(/[^\x00-\x1f/\\.][^\x00-\x1f/\\]*)?")


class SavedFolderError(ValueError):
    """A folder is incomplete, changed, or not one of ours."""


def write_manifest(folder: Path) -> None:
    """Describes everything that is in a folder now."""
    files = {p.relative_to(folder).as_posix(): digest_of(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    manifest = {"format": FORMAT, "files": files}
    text = json.dumps({**manifest, "digest": own_digest(manifest)})
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def verify(folder: Path, *, again: str, contents: bool = True) -> set[str]:
    """Compares a folder with its manifest: every file is there and unchanged, and no other is.

    Args:
        folder: written by :func:`new_folder`.
        again: what makes the folder anew, for errors, such as "save the model again".
        contents: read the files; else names and sizes are compared only.

    Returns:
        The names of the files, ``/`` between folder and file.

    Raises:
        SavedFolderError: for a missing, changed or foreign file, named; for links and paths out of it.
    """
    manifest = read_json(folder / MANIFEST, again=again)
    stated = manifest.pop("digest", None)
    files = manifest.get("files")
    if stated != own_digest(manifest) or not isinstance(files, dict):
        raise SavedFolderError(f"{folder / MANIFEST} was changed: restore it or {again}")
    for name, digest in files.items():
        path = folder / name
        if not _NAME.fullmatch(name) or path.is_symlink() or path.parent.is_symlink():
            raise SavedFolderError(
                f"{folder} names {name[:80]!r}, which is no plain file inside it: do not use this folder"
            )
        if not path.is_file():
            raise SavedFolderError(f"{name} is missing in {folder}: restore it or {again}")
        same = isinstance(digest, dict) and path.stat().st_size == digest.get("size")
        if not same or (contents and digest_of(path) != digest):
            raise SavedFolderError(
                f"{name} in {folder} was changed after it was written: restore it or {again}"
            )
    foreign = foreign_in(folder, files)
    if foreign is not None:
        raise SavedFolderError(f"{foreign} in {folder} is not part of what was written: move it elsewhere")
    return set(files)


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


def read_json(path: Path, *, again: str) -> dict[str, Any]:
    """A JSON object in a file of a folder.

    Raises:
        SavedFolderError: if there is none, or not one that this library writes: with a key twice, NaN, or
            nested beyond what Python reads.
    """
    try:
        value = strict_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SavedFolderError(
            f"{path} cannot be read ({error}): the folder is incomplete or damaged, {again}"
        ) from error
    if not isinstance(value, dict):
        raise SavedFolderError(f"{path} does not hold a JSON object: {again}")
    return value


def strict_json(text: str) -> Any:
    """The value of a JSON text in which no object has a key twice and every number is one.

    Raises:
        ValueError: if it is no such text.
        RecursionError: if it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for place, (key, _) in enumerate(pairs) if key in dict(pairs[:place]))
        raise ValueError(f"key {twice[:40]!r} stands twice in one object")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
