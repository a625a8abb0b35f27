"""From a table of events to sessions that a model can be trained on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from merlin_models_torch.data.errors import DataError
from merlin_models_torch.data.events import (
    Order,
    Use,
    read_codes,
    read_numbers,
    read_time,
    sort_events,
    use_of,
)
from merlin_models_torch.data.session_files import SessionFiles, by_window
from merlin_models_torch.data.session_writer import (
    SequenceColumn,
    check_folder,
    encoded,
    session_schema,
    write_folder,
)
from merlin_models_torch.data.source import Source, open_source
from merlin_models_torch.data.splits import Spans, TimeUnit, leave_one_out, time_windows, whole
from merlin_models_torch.schema import Tags

Split = Literal["leave-one-out", "time-window"]


def sessions_from_events(
    events: Any,
    out_folder: str | os.PathLike[str],
    *,
    user: str = "user_id",
    item: str = "item_id",
    time: str | None = None,
    features: Sequence[str] | Mapping[str, Use] = (),
    split: Split | None = "leave-one-out",
    window: str | int | None = None,
    window_by: Literal["last", "first"] = "last",
    time_unit: TimeUnit = "s",
    vocabulary_from: Literal["all", "train"] | None = None,
    min_length: int = 2,
    min_item_count: int = 1,
    max_length: int | None = None,
    overwrite: bool = False,
) -> SessionFiles:
    """Sorts events into sessions, encodes their ids, splits them, and writes a folder to train from.

    The folder holds parquet files of one row a session, whose columns are lists in order of time, the column
    ``user`` in its original form, ``schema.pbtxt``, and ``vocabulary/<column>.parquet``. Code 0 is padding,
    1 an unknown value, real ones begin at 2, the most frequent first. The folder appears under its name only
    when all of it is written.

    Splits: "leave-one-out" writes ``train.parquet`` (each session without its last two items),
    ``valid.parquet`` (without the last) and ``test.parquet`` (whole), as evaluation masks the last item of a
    row. "time-window" writes ``window-0000.parquet`` and so on, one for each ``window`` of time that has
    sessions; the last is for the test, the one before it for validation. None writes all to
    ``train.parquet``.

    Args:
        events: one event a row: parquet paths, a glob or folder, an Arrow table, or a pandas or polars frame.
        out_folder: what is written; refused if there is anything in it.
        user: column that says which user or session an event belongs to, of any flat type. It is tagged
            SESSION_ID if its name has "session" in it, else USER_ID.
        item: column of item ids, of any flat type.
        time: column to sort by: a timestamp, a date or a number. Without it, and among equal times, events
            stay in the order of the table.
        features: further columns of the events. Floating-point numbers are continuous, all other types
            categorical with a vocabulary of their own, unless a mapping says so by name.
        split: how sessions are split.
        window: for "time-window": a length of time such as "1d", "12h", "30min" (windows begin at its
            multiples since 1970-01-01 UTC), or a number of equally long windows.
        window_by: which event of a session decides on its window.
        time_unit: for "time-window": unit of a time column of numbers.
        vocabulary_from: which events the vocabularies are made of: "all", as published leave-one-out
            protocols do, or those of "train" only, so that later items are unknown. By default "train" for
            "time-window".
        min_length: shorter sessions are left out.
        min_item_count: rarer items are left out; both again and again until all that is left has as many.
        max_length: only the latest events of each row are written.
        overwrite: replaces a folder that this function wrote before.

    Returns:
        Paths, schema, vocabularies and row counts.

    Raises:
        DataError: if the events lack a column, hold missing or wrong values, or nothing is left of them; or
            the folder is not empty.
        ValueError: if an argument is out of its range.

    Example:
        >>> log = pa.table({"user_id": ["a", "a", "b", "b"], "item_id": ["x", "y", "z", "x"]})
        >>> files = sessions_from_events(log, "prepared", split=None)
        >>> files.counts["train"], files.schema.cardinality("item_id")
        (2, 5)
    """
    if split not in ("leave-one-out", "time-window", None):
        raise ValueError(f"split is {split!r}, expected 'leave-one-out', 'time-window' or None")
    if split == "time-window" and (time is None or window is None):
        raise ValueError("split 'time-window' needs the arguments time (a column) and window, such as '1d'")
    if vocabulary_from not in ("all", "train", None):
        raise ValueError(f"vocabulary_from is {vocabulary_from!r}, expected 'all' or 'train'")
    if max_length is not None and max_length < 2:
        raise ValueError(
            f"max_length is {max_length}, expected at least 2: one item to see and one to predict"
        )
    out = Path(out_folder)
    check_folder(out, overwrite=overwrite)
    source = open_source(events)
    _check_names([user, item, *([] if time is None else [time]), *features])
    users, items = read_codes(source, user), read_codes(source, item)
    clock = None if time is None else read_time(source, time)
    order = sort_events(
        users.codes,
        items.codes,
        None if clock is None else clock[0],
        min_length=min_length,
        min_item_count=min_item_count,
    )
    times: NDArray[Any] | None = None
    if clock is not None:
        times = clock[0][order.events]
    if split == "leave-one-out":
        files = {f"{name}.parquet": spans for name, spans in leave_one_out(order).items()}
    elif clock is not None and times is not None and split == "time-window":
        windows = time_windows(order, times, window=window, by=window_by, kind=clock[1], time_unit=time_unit)
        files = {f"window-{number:04d}.parquet": spans for number, spans in enumerate(windows)}
    else:
        files = {"train.parquet": whole(order)}
    roles = _roles(tuple(files), split)
    learned = None
    if (vocabulary_from or ("train" if split == "time-window" else "all")) == "train":
        learned = _covered([files[name] for name in roles["train"]], len(order.events))

    columns = [encoded(item, items, order.events, learned, (Tags.ITEM_ID, Tags.CATEGORICAL))]
    uses = features if isinstance(features, Mapping) else {name: use_of(source, name) for name in features}
    columns += [_feature(source, name, use, order, learned) for name, use in uses.items()]
    if time is not None and clock is not None and times is not None:
        columns.append(SequenceColumn(time, times, clock[1], (Tags.TIME,)))
    files = {name: spans.latest(max_length) for name, spans in files.items()}
    longest = max(int((spans.stops - spans.starts).max()) for spans in files.values())
    keys = users.values.take(pa.array(order.users))
    schema = session_schema(user, keys, columns, longest)
    write_folder(out, files, keys, user, columns, schema)
    return SessionFiles(
        folder=out,
        **{role: tuple(out / name for name in names) for role, names in roles.items()},
        schema=schema,
        vocabularies={c.name: c.vocabulary for c in columns if c.vocabulary is not None},
        counts={role: sum(len(files[name].sessions) for name in names) for role, names in roles.items()},
    )


def _roles(names: tuple[str, ...], split: Split | None) -> dict[str, tuple[str, ...]]:
    """Which files are for training, validation and test."""
    if split == "time-window":
        return by_window(names)
    if split is None:
        return {"train": names, "valid": (), "test": ()}
    return {"train": names[:1], "valid": names[1:2], "test": names[2:]}


def _covered(files: Sequence[Spans], events: int) -> NDArray[np.bool_]:
    """(K,) bool, the sorted events that rows of these files hold."""
    change = np.zeros(events + 1, np.int64)
    for spans in files:
        np.add.at(change, spans.starts, 1)
        np.add.at(change, spans.stops, -1)
    covered: NDArray[np.bool_] = np.cumsum(change[:-1]) > 0
    return covered


def _feature(
    source: Source, name: str, use: Use, order: Order, learned: NDArray[np.bool_] | None
) -> SequenceColumn:
    if use == "categorical":
        return encoded(name, read_codes(source, name, nulls=True), order.events, learned, (Tags.CATEGORICAL,))
    if use != "continuous":
        raise ValueError(f"feature {name!r} is said to be {use!r}, expected 'categorical' or 'continuous'")
    numbers = read_numbers(source, name)[order.events]
    return SequenceColumn(name, numbers, pa.float32(), (Tags.CONTINUOUS,))


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DataError(
                f"column {name!r} is named twice among user, item, time and features: name each once"
            )
