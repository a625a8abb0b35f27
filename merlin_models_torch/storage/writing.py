"""Files that appear whole or not at all, and errors that say what could not be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from merlin_models_torch.storage.leftovers import clear, hidden, hold


class WriteError(OSError):
    """A file or folder could not be written: the disk is full, say, or the folder may not be written to."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A hidden name beside a file to write, which takes its place when it is closed without an error.

    What a process that was killed has left of it is removed.

    Args:
        path: of the file; one that is there is replaced.

    Yields:
        The path to write to, with the same ending.

    Raises:
        WriteError: if the file cannot be written, whichever library writes it.
    """
    with writing(path):
        clear(path)
        work = hidden(path)
        try:
            work.touch(exist_ok=False)
            with hold(work):
                yield work
                _flushed(work)
                work.replace(path)
        finally:
            work.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what libraries say of a disk that is full, and the like, into one error that names the path.

    Raises:
        WriteError: if so.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        if isinstance(error, WriteError) and isinstance(error.__cause__, (OSError, SafetensorError)):
            # Of a file within: the path that was asked for says more.
            error = error.__cause__
        raise _said(error, path) from error


def _said(error: Exception, path: Path) -> WriteError:
    # Made apart: an error that a variable of its own traceback holds would keep the frames of what wrote, and
    # with them files that are open, and their room on the disk, until Python collects cycles.
    said = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
    made = WriteError(
        f"{path} could not be written ({said}) and is as it was before: make room on the disk, or see to "
        f"it that {path.parent} may be written to, and run this again"
    )
    made.errno = getattr(error, "errno", None)
    return made


def _flushed(work: Path) -> None:
    """What was written is on the disk before it gets its name."""
    handle = os.open(work, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
