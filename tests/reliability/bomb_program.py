"""``python -m tests.reliability.bomb_program FOLDER``: reads files of some kB that unpack to gigabytes.

Prints, as JSON, what each way of reading says and the MiB that it took.
"""

import json
import os
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

import merlin_models_torch as mm
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_model, session_table

ROOM = 2**30


def alike(rows: int, value: object) -> pa.Array:
    """So many equal values, of which only one is held."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value]))


def lists(path: Path) -> Path:
    """One row group of 28 sessions of 20,000,000 equal items each: 4.5 GB in memory."""
    one = session_table(28, shortest=1, longest=1)
    long = pa.ListArray.from_arrays([0, 20_000_000], alike(20_000_000, 3))
    place = one.schema.get_field_index("item_id")
    table = one.set_column(place, "item_id", pa.chunked_array([long] * 28))
    pq.write_table(table, path, compression="zstd", write_statistics=False)
    return path


def texts(path: Path, table: pa.Table, name: str) -> Path:
    """A table with one more column, of 100,000 bytes in each row."""
    pq.write_table(table.append_column(name, alike(table.num_rows, "x" * 100_000)), path)
    return path


def write_shared(path: Path) -> None:
    """5,000,000 texts of 1,000 bytes of which each says only that it is the one before."""
    same = pa.table({"value": ["x" * 1_000] * 100_000})
    how = {"use_dictionary": False, "column_encoding": {"value": "DELTA_BYTE_ARRAY"}}
    with pq.ParquetWriter(path, same.schema, write_statistics=False, **how) as writer:
        for _ in range(50):
            writer.write_table(same)


def readers(folder: Path) -> dict[str, Callable[[], object]]:
    """What is read, and how; 60,000 rows are 6 GB of text."""
    from merlin.io import Dataset

    torch.manual_seed(0)
    model, schema = session_model(), session_schema()
    rows = lists(folder / "lists.parquet")
    sessions = session_table(60_000, shortest=1, longest=1).drop_columns(["user_id"])
    keyed = texts(folder / "keyed.parquet", sessions, "user_id")
    clicks = pa.table({"item_id": alike(60_000, 3)})
    events = texts(folder / "events.parquet", clicks, "session_id")
    words = folder / "words.parquet"
    pq.write_table(pa.table({"value": alike(60_000, "x" * 100_000)}), words)
    # The footer says nothing of the length of texts.
    named = folder / "named.parquet"
    ids = pa.ListArray.from_arrays(range(0, 60_001, 10), alike(60_000, "x" * 100_000))
    pq.write_table(pa.table({"item_id": ids}), named, write_statistics=False)
    known = mm.SessionModel(
        mm.Schema([schema["item_id"]]),
        dim=4,
        layers=1,
        vocabularies={"item_id": mm.Vocabulary(pa.array([str(n) for n in range(29)]))},
    )
    shared = folder / "shared.parquet"
    write_shared(shared)
    return {
        "loader": lambda: list(mm.ParquetLoader(rows, schema, batch_size=2)),
        "streamed": lambda: list(mm.ParquetLoader(rows, schema, batch_size=2, memory_limit=0)),
        "inferred": lambda: mm.Schema.from_parquet(rows, row_key="user_id"),
        "predict": lambda: model.predict(rows, k=2),
        "raw ids": lambda: known.predict(known.raw_ids(named), k=2),
        "keys": lambda: model.predict(keyed, k=2, keys=["user_id"]),
        "seen": lambda: model.predict(session_table(4), k=2, keys=["user_id"], seen=keyed, exclude_seen=True),
        "events": lambda: mm.data.sessions_from_events(events, folder / "out", user="session_id"),
        "vocabulary": lambda: mm.Vocabulary.load(words),
        "shared": lambda: mm.Vocabulary.load(shared),
        "dataset": lambda: Dataset(str(events), schema=schema).to_ddf().compute(),
    }


def said(read: Callable[[], object]) -> tuple[str, int]:
    """What reading says in a process of its own that has not much memory, and the MiB that it took."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (own + ROOM, own + ROOM))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            read()
            told = "read"
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"
        took = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        os.write(writing, json.dumps([told, took // 1024]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        found = lines.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return tuple(json.loads(found)) if found else (f"the process ended with {status}", 0)


def main(folder: Path) -> None:
    """Reads them all."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    sys.stdout.write(json.dumps({name: said(read) for name, read in readers(folder).items()}))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
