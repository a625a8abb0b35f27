"""Folders that appear whole or not at all, with a manifest of everything in them."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from merlin_models_torch.storage.leftovers import clear, hidden, hold, leftovers
from merlin_models_torch.storage.manifest import MANIFEST, foreign_in, read_json, write_manifest
from merlin_models_torch.storage.writing import writing

_OLD = "old."
_HERE, _EXCHANGE = -100, 2


@contextmanager
def new_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A folder to write into, which gets its name and a manifest when everything is written.

    What a process that was killed has left of it is removed. A folder that is replaced stays what it is until
    the new one takes its place, in one step where the system can do that.

    Args:
        folder: to make.
        overwrite: replace the folder if one made by this is there.

    Yields:
        The folder to write into, beside the one to make; removed if writing fails.

    Raises:
        FileExistsError: as :func:`check_new`.
        WriteError: if something cannot be written, the disk is full, say.
    """
    _put_back(folder)
    check_new(folder, overwrite=overwrite)
    with writing(folder):
        clear(folder)
        work = hidden(folder)
        work.mkdir(parents=True)
        try:
            with hold(work):
                yield work
                write_manifest(work)
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
        raise FileExistsError(f"{folder} was not saved by this and is not replaced: choose another folder")
    files = read_json(folder / MANIFEST, again="choose another folder").get("files", {})
    foreign = foreign_in(folder, files)
    if foreign is not None:
        raise FileExistsError(
            f"{folder} holds {foreign}, which is not part of what was saved: move it elsewhere first"
        )


def _put_back(folder: Path) -> None:
    """A folder that a process was killed while replacing, step by step, gets its name again."""
    old = leftovers(folder, _OLD)
    if old and not folder.exists():
        old[-1].rename(folder)
    clear(folder, _OLD)


def _replace(work: Path, folder: Path) -> None:
    if not folder.exists():
        work.rename(folder)
    elif not _exchanged(work, folder):
        old = hidden(folder, _OLD)
        folder.rename(old)
        work.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two folders have each other's names now: at once, which Linux can do on most file systems."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        exchange = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return int(exchange(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE)) == 0
