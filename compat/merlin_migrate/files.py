"""Which files to rewrite, and how a file is replaced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from merlin_models_torch.storage import whole_file

_SKIPPED = {"__pycache__", "node_modules", "site-packages", "build", "dist"}


ENDINGS = (".py", ".ipynb")


def python_files(paths: Iterable[str | Path], *, exclude: Sequence[str] = ()) -> Iterator[Path]:
    """The files among ``paths``, and programs and notebooks below the folders among them, once each.

    Hidden files and folders, virtual environments and installed packages are left out.

    Args:
        paths: files and folders.
        exclude: patterns such as ``tests`` or ``*/old/*.py``, for the path or the name of a file or folder.

    Raises:
        FileNotFoundError: if a path does not exist.
    """
    seen: set[Path] = set()
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist: give files or folders")
        for file in _below(path, exclude) if path.is_dir() else (path,):
            if not _excluded(file, exclude) and (resolved := file.resolve()) not in seen:
                seen.add(resolved)
                yield file


def chosen_files(paths: Sequence[str | Path], *, exclude: Sequence[str] = ()) -> list[Path]:
    """The files of :func:`python_files`, at least one.

    Raises:
        FileNotFoundError: if a path does not exist, or no file is left: a check of nothing proves nothing.
    """
    files = list(python_files(paths, exclude=exclude))
    if files:
        return files
    left = f" but what --exclude {' '.join(exclude)} leaves out" if exclude else ""
    raise FileNotFoundError(
        f"there is no .py or .ipynb file in {', '.join(map(str, paths))}{left}: give other paths or patterns"
    )


def _excluded(path: Path, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path.name, pattern) or fnmatch(str(path), pattern) for pattern in patterns)


def _below(folder: Path, exclude: Sequence[str]) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED
            and not name.startswith(".")
            and not (Path(root) / name / "pyvenv.cfg").exists()
            and not _excluded(Path(root) / name, exclude)
        )
        yield from (Path(root) / name for name in sorted(names) if name.endswith(ENDINGS) and name[0] != ".")


def replace_file(path: Path, content: bytes) -> None:
    """Puts new content in a file's place at once: never half written, mode and links kept.

    Raises:
        OSError: if that is not possible; the file is then as it was.
    """
    target = path.resolve()
    with whole_file(target) as work:
        work.write_bytes(content)
        shutil.copymode(target, work)
