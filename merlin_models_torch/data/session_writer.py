"""Sorted events as parquet files of lists, their schema and their vocabularies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from merlin_models_torch.data.errors import DataError
from merlin_models_torch.data.events import Coded
from merlin_models_torch.data.session_files import SCHEMA, VOCABULARY, vocabulary_file
from merlin_models_torch.data.splits import Spans
from merlin_models_torch.data.vocabulary import Vocabulary
from merlin_models_torch.schema import ColumnSchema, Schema, Tags
from merlin_models_torch.storage import new_folder, parquet_writer
from merlin_models_torch.storage.manifest import MANIFEST

ROWS_PER_GROUP = 32_768


@dataclass(frozen=True)
class SequenceColumn:
    """A list column of the sessions.

    Args:
        name: of the column.
        values: (K,) value of each sorted event, as a model takes it.
        kind: Arrow type that is written.
        tags: what the column is.
        vocabulary: what the values are codes of, if they are.
    """

    name: str
    values: NDArray[Any]
    kind: pa.DataType
    tags: tuple[Tags, ...]
    vocabulary: Vocabulary | None = None


def encoded(
    name: str,
    coded: Coded,
    events: NDArray[np.int64],
    learned: NDArray[np.bool_] | None,
    tags: tuple[Tags, ...],
) -> SequenceColumn:
    """A categorical column with a vocabulary of its values, the most frequent first.

    Args:
        name: of the column.
        coded: its values.
        events: (K,) the sorted events.
        learned: (K,) bool, the sorted events that the vocabulary is made of; all if None.
        tags: what the column is.
    """
    codes = coded.codes[events]
    counted = codes if learned is None else codes[learned]
    counts = np.bincount(counted[counted >= 0], minlength=len(coded.values))
    vocabulary, table = Vocabulary.of_counts(coded.values, counts)
    # A missing value inside a session is an unknown one: code 0 would look like the end of the session.
    values = np.append(table, vocabulary.unknown)[codes]
    return SequenceColumn(name, values, pa.int64(), tags, vocabulary)


def session_schema(user: str, keys: pa.Array, columns: Sequence[SequenceColumn], longest: int) -> Schema:
    """The schema of the files: the key of the session, then the lists.

    Args:
        user: name of the key.
        keys: its values.
        columns: the lists.
        longest: values of the longest row.
    """
    owner = Tags.SESSION_ID if "session" in user.lower() else Tags.USER_ID
    found = [ColumnSchema(user, tags=[owner], dtype=keys.type)]
    for column in columns:
        properties: dict[str, Any] = {"value_count": {"min": 0, "max": longest}}
        if column.vocabulary is not None:
            largest = column.vocabulary.cardinality - 1
            properties["domain"] = {"min": 0, "max": largest, "name": column.name}
        dtype = "float32" if pa.types.is_float32(column.kind) else str(column.values.dtype)
        tags = [*column.tags, Tags.LIST, Tags.SEQUENCE]
        found.append(ColumnSchema(column.name, tags=tags, dtype=dtype, properties=properties))
    return Schema(found)


def write_folder(
    out: Path,
    files: Mapping[str, Spans],
    keys: pa.Array,
    user: str,
    columns: Sequence[SequenceColumn],
    schema: Schema,
) -> None:
    """Writes everything under a hidden name and then renames it, replacing a folder written before."""
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()
    with new_folder(out, overwrite=True) as part:
        (part / VOCABULARY).mkdir()
        for name, spans in files.items():
            _write_rows(part / name, spans, keys, user, columns)
        for column in columns:
            if column.vocabulary is not None:
                column.vocabulary.save(vocabulary_file(part, column.name))
        schema.save(part / SCHEMA)


def check_folder(out: Path, *, overwrite: bool) -> None:
    """Refuses a folder whose content would be lost.

    Raises:
        DataError: if it is a file, or holds anything; with ``overwrite``, if it holds anything that was not
            written by :func:`write_folder`.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise DataError(f"{out} is a file: name a folder to write")
    names = sorted(entry.name for entry in out.iterdir())
    if names and not overwrite:
        raise DataError(
            f"folder {out} is not empty, it holds {names[:5]}: name another, or give overwrite=True"
        )
    known = {SCHEMA, VOCABULARY, MANIFEST, "train.parquet", "valid.parquet", "test.parquet"}
    foreign = [
        n for n in names if n not in known and not (n.startswith("window-") and n.endswith(".parquet"))
    ]
    if names and MANIFEST not in names:
        foreign = foreign or names
    if foreign:
        raise DataError(
            f"folder {out} holds {foreign[:5]}, which sessions_from_events did not write: "
            "name another folder, or move these away"
        )


def _write_rows(
    path: Path, spans: Spans, keys: pa.Array, user: str, columns: Sequence[SequenceColumn]
) -> None:
    schema = pa.schema([(user, keys.type), *((column.name, pa.list_(column.kind)) for column in columns)])
    with parquet_writer(path, schema) as writer:
        for first in range(0, len(spans.sessions), ROWS_PER_GROUP):
            rows = slice(first, first + ROWS_PER_GROUP)
            starts, lengths = spans.starts[rows], spans.stops[rows] - spans.starts[rows]
            offsets = np.append(0, np.cumsum(lengths))
            places = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
            bounds = pa.array(offsets.astype(np.int32))
            arrays = [keys.take(pa.array(spans.sessions[rows]))]
            for column in columns:
                values = pa.array(column.values[places])
                if values.type != column.kind:
                    values = _as_kind(values, column.kind)
                arrays.append(pa.ListArray.from_arrays(bounds, values))
            writer.write_table(pa.table(arrays, schema=schema))


def _as_kind(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Numbers as the times they were."""
    if pa.types.is_temporal(kind) and kind.bit_width == 32:
        values = values.cast(pa.int32())
    return values.cast(kind)
