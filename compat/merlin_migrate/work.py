"""Many files at once: one after the other, or shared out to processes, with a progress bar."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TextIO, TypeVar

T = TypeVar("T")

# Below it a second process costs more than it saves.
FEW = 24
_BAR = 30


def each(
    work: Callable[[Path], T],
    files: Sequence[Path],
    *,
    jobs: int | None = None,
    progress: TextIO | None = None,
) -> Iterator[tuple[Path, T]]:
    """What ``work`` gives for each file, in their order.

    Args:
        work: a function that can be pickled.
        files: what to work on.
        jobs: processes; as many as there are processors if not given, and one for few files.
        progress: where to show how far it is.
    """
    jobs = min(jobs or os.cpu_count() or 1, 1 + len(files) // FEW)
    if jobs == 1:
        results: Iterator[T] = map(work, files)
        yield from _shown(files, results, progress)
        return
    # A fresh process, because torch or a notebook may have started threads in this one.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from _shown(files, pool.map(work, files, chunksize=8), progress)


def _shown(files: Sequence[Path], results: Iterator[T], progress: TextIO | None) -> Iterator[tuple[Path, T]]:
    for done, (path, result) in enumerate(zip(files, results, strict=True), 1):
        if progress is not None:
            full = _BAR * done // len(files)
            progress.write(f"\r[{'#' * full}{'.' * (_BAR - full)}] {done} of {len(files)} files")
            progress.flush()
        yield path, result
    if progress is not None and files:
        progress.write("\n")
