"""The parts of a data set as parquet files of a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from merlin.io._partitions import repartitioned
from merlin.io.shuffle import Shuffle

from merlin_models_torch.storage import parquet_writer, whole_file


def write_parts(
    rows: pa.Table,
    lengths: list[int],
    folder: Path,
    *,
    files: Any = None,
    shuffle: Shuffle | None = None,
    row_group_size: int | None = None,
    dtypes: Mapping[str, Any] | None = None,
    suffix: str = ".parquet",
) -> None:
    """Writes a file for each part.

    Args:
        rows: all of them.
        lengths: rows of each part.
        folder: where to.
        files: how many, their names, or the numbers of the parts that each name has.
        shuffle: FULL moves rows among all, the others within their file.
        row_group_size: rows of a row group.
        dtypes: of columns that are written in another type.
        suffix: of names that are not given.
    """
    kinds = {name: pa.from_numpy_dtype(kind) for name, kind in (dtypes or {}).items()}
    rows = rows.cast(pa.schema([one.with_type(kinds.get(one.name, one.type)) for one in rows.schema]))
    if shuffle is Shuffle.FULL:
        rows = rows.take(np.random.permutation(len(rows)))
    options = {"row_group_size": row_group_size} if row_group_size else {}
    for name, places in _places(lengths, files, suffix):
        if shuffle in (Shuffle.PER_PARTITION, Shuffle.PER_WORKER):
            places = np.random.permutation(places)
        with whole_file(folder / name) as work, parquet_writer(work, rows.schema) as writer:
            writer.write_table(rows.take(places), **options)


def _places(lengths: list[int], files: Any, suffix: str) -> Iterator[tuple[str, np.ndarray]]:
    """The name of each file and the places of its rows."""
    if isinstance(files, Mapping):
        parts = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
        yield from ((name, np.concatenate([parts[i] for i in numbers])) for name, numbers in files.items())
        return
    if files is not None:
        lengths = repartitioned(lengths, files if isinstance(files, int) else len(files))
    names = files if isinstance(files, list | tuple) else [f"part_{i}{suffix}" for i in range(len(lengths))]
    parts = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
    yield from zip(names, parts, strict=True)
