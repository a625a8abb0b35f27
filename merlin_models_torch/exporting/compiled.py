"""A program compiled by AOTInductor, made whole in memory."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from merlin_models_torch.storage import writing

_CACHE = "TORCHINDUCTOR_CACHE_DIR"
# What an operating system says of a disk that is full, and a compiler's driver of one whose part was ended.
_FULL = (*map(os.strerror, (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)), "File size limit exceeded")


def compiled(traced: torch.export.ExportedProgram) -> bytes:
    """The archive of a program compiled for this machine.

    Sources, objects and libraries go to a new temporary folder, which is removed: in the one that torch keeps
    for all programs those half-written, on a disk that is full, would look whole to the next, and the weights
    would stay there.

    Raises:
        WriteError: if there is no room for them.
        ValueError: if the program cannot be compiled otherwise.
    """
    archive, configs = io.BytesIO(), _configs()
    with _scratch() as place, writing(place):
        try:
            torch._inductor.aoti_compile_and_package(traced, package_path=archive, inductor_configs=configs)
        except Exception as error:
            full = _full(error)
            if full is not None:
                raise full from error
            raise ValueError(
                f"the program cannot be compiled in {place.parent}, torch says {_said(error)}: see that a "
                "C++ compiler is installed (CXX names another than g++), or choose another format"
            ) from error
    return archive.getvalue()


def _configs() -> dict[str, Any]:
    # Compiled headers are kept for later programs, outside of the folder.
    known = hasattr(torch._inductor.config.aot_inductor, "precompile_headers")
    return {"aot_inductor.precompile_headers": False} if known else {}


@contextmanager
def _scratch() -> Iterator[Path]:
    """A temporary folder, where torch puts what it makes while it compiles."""
    from torch._inductor.utils import clear_inductor_caches

    before = os.environ.get(_CACHE)
    with tempfile.TemporaryDirectory(prefix="merlin_models_torch-", ignore_cleanup_errors=True) as place:
        os.environ[_CACHE] = place
        # What torch remembers of files is of those in the folder before.
        clear_inductor_caches()
        try:
            yield Path(place)
        finally:
            clear_inductor_caches()
            os.environ.pop(_CACHE)
            if before is not None:
                os.environ[_CACHE] = before


def _full(error: BaseException) -> OSError | None:
    """The error of a file that could not be written, whichever library or program wrote it."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.errno is not None:
            return inner
        inner = inner.__cause__ or inner.__context__
    said = next((text for text in _FULL if text in str(error)), None)
    return None if said is None else OSError(errno.ENOSPC, said)


def _said(error: Exception) -> str:
    """What torch says, of a compiler the first that it prints."""
    text = str(error)
    printed = text.partition("\nOutput:\n")[2] or text
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
