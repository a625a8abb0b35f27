"""``python -m tests.reliability.memory_program FOLDER``: peak memory of answering, as JSON."""

import json
import os
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import torch

import merlin_models_torch as mm
from tests.unit.clicks import click_schema, click_table
from tests.unit.sessions import session_model, session_table


def peak(run: Callable[[], object]) -> int:
    """KiB that a process takes at most which runs something."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            run()
            os.write(writing, str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        found = told.read()
    os.waitpid(child, 0)
    return int(found)


def written(path: Path, part: pa.Table, times: int) -> Path:
    """A file of so many row groups."""
    with pq.ParquetWriter(path, part.schema) as writer:
        for _ in range(times):
            writer.write_table(part)
    return path


def with_ids(table: pa.Table, vocabulary: mm.Vocabulary) -> pa.Table:
    """Rows with original ids of items instead of codes."""
    codes = table["item_id"].to_pylist()
    lists = [[value or "new" for value in vocabulary.decode(row).to_pylist()] for row in codes]
    return table.set_column(0, "item_id", pa.array(lists))


def _same(data: object) -> object:
    return data


def main(folder: Path) -> None:
    """Answers to 8 and to 64 row groups, written as they come and, to compare with, held."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(click_schema(), embedding_dim=4)
    clicks = mm.Model(inputs, mm.MLPBlock([4]), mm.BinaryOutput("click"))
    raw = session_model()
    raw.vocabularies["item_id"] = mm.Vocabulary(pa.array([f"item {n}" for n in range(29)]))
    items = {"k": 10, "keys": ["user_id"]}
    cases = {
        "items": (session_model(), session_table(512), items),
        "raw ids": (raw, with_ids(session_table(512), raw.vocabularies["item_id"]), items),
        "scores": (clicks, click_table(4096), {}),
    }
    found: dict[str, dict[str, list[int]]] = {}
    for name, (model, part, options) in cases.items():
        found[name] = {"written": [], "held": []}
        for times in (8, 64):
            path = written(folder / f"{name}-{times}.parquet", part, times)
            as_read = model.raw_ids if model.vocabularies else _same
            data = as_read(path)
            # Nothing of the parent's is counted as new, as it was used before.
            model.predict_to_parquet(
                as_read(part), folder / f"{name}-warm", batch_size=256, overwrite=True, **options
            )  # type: ignore[arg-type]
            out = folder / f"{name}-{times}"

            def write(
                model: mm.Model = model, data: object = data, out: Path = out, options: dict = options
            ) -> None:  # type: ignore[type-arg]
                model.predict_to_parquet(data, out, batch_size=256, **options)

            def hold(model: mm.Model = model, data: object = data, options: dict = options) -> None:  # type: ignore[type-arg]
                model.predict(data, batch_size=256, **options)

            found[name]["written"].append(peak(write))
            found[name]["held"].append(peak(hold))
            assert pq.read_metadata(out / path.name).num_rows == times * part.num_rows
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    # So that the smaller file is written in several groups as well.
    with mock.patch("merlin_models_torch.retrieval.writing._ROWS", 1024):
        main(Path(sys.argv[1]))
