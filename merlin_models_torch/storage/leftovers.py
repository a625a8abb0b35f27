"""Hidden names to write under, and what processes that were killed have left under such names."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


def hidden(path: Path, mark: str = "") -> Path:
    """A new hidden name beside a path, with the same ending."""
    return path.with_name(f".{uuid4().hex}.{mark}{path.name}")


@contextmanager
def hold(work: Path) -> Iterator[None]:
    """Says that a file or folder under a hidden name is being written; that ends with the process at last."""
    handle = _locked(work)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def clear(path: Path, mark: str = "") -> None:
    """Removes what was left under hidden names of a path by processes that write it no more."""
    for left in leftovers(path, mark):
        handle = _locked(left)
        if handle is None:
            continue
        try:
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        finally:
            os.close(handle)


def leftovers(path: Path, mark: str = "") -> list[Path]:
    """What lies under hidden names of a path, the oldest first."""
    if not path.parent.is_dir():
        return []
    name = re.compile(rf"\.[0-9a-f]{{32}}\.{re.escape(mark + path.name)}")
    found = [one for one in path.parent.iterdir() if name.fullmatch(one.name) and not one.is_symlink()]
    return sorted(found, key=lambda one: one.lstat().st_mtime_ns)


def _locked(path: Path) -> int | None:
    """A handle that holds a lock of a file or folder; None if another has it, or there are no locks."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
