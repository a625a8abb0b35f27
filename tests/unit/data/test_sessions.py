"""Sessions from events against a plain-Python preparation of the same events."""

from __future__ import annotations

import datetime
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from merlin_models_torch.data import (
    DataError,
    ParquetLoader,
    SessionDataModule,
    SessionFiles,
    generate_sessions,
    sessions_from_events,
)
from merlin_models_torch.schema import Tags
from merlin_models_torch.storage import new_folder

Rows = dict[Any, list[dict[str, Any]]]
HAND = pa.table(
    {
        "user_id": ["u", "v", "u", "u", "v", "w", "u", "w", "v"],
        "item_id": ["a", "b", "c", "a", "a", "c", "d", "a", "b"],
        "timestamp": [3, 1, 1, 2, 2, 1, 4, 2, 3],
    }
)


def grouped(events: pa.Table, user: str, time: str | None) -> Rows:
    """Events of each user in order of time, users in order of first occurrence; plain Python."""
    users: Rows = {}
    for event in events.to_pylist():
        users.setdefault(event[user], []).append(event)
    if time is not None:
        for events_of in users.values():
            events_of.sort(key=lambda event: event[time])
    return users


def written(
    paths: tuple[Path, ...], files: SessionFiles, user: str
) -> list[tuple[Any, dict[str, list[Any]]]]:
    """Rows of files, with codes turned back into original values."""
    rows = []
    for path in paths:
        for row in pq.read_table(path).to_pylist():
            key = row.pop(user)
            for name, vocabulary in files.vocabularies.items():
                row[name] = vocabulary.decode(row[name]).to_pylist()
            rows.append((key, row))
    return rows


def test_leave_one_out_by_hand(tmp_path: Path) -> None:
    files = sessions_from_events(HAND, tmp_path / "out", time="timestamp")
    # a occurs 4 times, b and c twice (b first), d once.
    assert files.vocabularies["item_id"].values.to_pylist() == ["a", "b", "c", "d"]
    read = {name: pq.read_table(tmp_path / "out" / f"{name}.parquet").to_pydict() for name in files.counts}
    # u: c a a d, v: b a b, w: c a (too short to test; v has too little left to train).
    assert read["train"] == {
        "user_id": ["u", "w"],
        "item_id": [[4, 2], [4, 2]],
        "timestamp": [[1, 2], [1, 2]],
    }
    assert read["valid"]["item_id"] == [[4, 2, 2], [3, 2]]
    assert read["test"] == {
        "user_id": ["u", "v"],
        "item_id": [[4, 2, 2, 5], [3, 2, 3]],
        "timestamp": [[1, 2, 3, 4], [1, 2, 3]],
    }
    assert files.counts == {"train": 2, "valid": 2, "test": 2}


@pytest.mark.parametrize("source", ["table", "files", "pandas", "polars"])
def test_leave_one_out_against_plain_python(source: str, tmp_path: Path) -> None:
    events = generate_sessions(60, 40, clusters=4, seed=3)
    shuffled = events.take(pa.array(random.Random(0).sample(range(len(events)), len(events))))
    given: Any = shuffled
    if source == "files":
        pq.write_table(shuffled.slice(0, 100), tmp_path / "1.parquet", row_group_size=30)
        pq.write_table(shuffled.slice(100), tmp_path / "2.parquet")
        given = f"{tmp_path}/*.parquet"
    elif source == "pandas":
        pytest.importorskip("pandas")
        given = shuffled.to_pandas()
    elif source == "polars":
        given = pytest.importorskip("polars").from_arrow(shuffled)
    files = sessions_from_events(
        given,
        tmp_path / "out",
        user="session_id",
        time="timestamp",
        features=["category", "price"],
        max_length=5,
    )
    users = grouped(shuffled, "session_id", "timestamp")
    names = ("item_id", "category", "price")
    spans = {
        "train": {u: e[:-2] if len(e) >= 3 else e for u, e in users.items()},
        "valid": {u: e[:-1] for u, e in users.items() if len(e) >= 3},
        "test": {u: e for u, e in users.items() if len(e) >= 3},
    }
    for split, parts in spans.items():
        rows = written(getattr(files, split), files, "session_id")
        for _, row in rows:
            del row["timestamp"]
        expected = [
            (u, {n: [event[n] for event in e[-5:]] for n in names}) for u, e in parts.items() if len(e) > 1
        ]
        assert rows == expected
        assert files.counts[split] == len(expected)


def test_ties_and_tables_without_time_keep_the_order_of_events(tmp_path: Path) -> None:
    events = pa.table({"user_id": [1, 2, 1, 2, 1, 2], "item_id": list("abcdef"), "t": [0, 1, 0, 0, 0, 0]})
    for time, second in ((None, ["b", "d", "f"]), ("t", ["d", "f", "b"])):
        files = sessions_from_events(events, tmp_path / str(time), time=time, split=None)
        rows = written(files.train, files, "user_id")
        assert [(key, row["item_id"]) for key, row in rows] == [(1, ["a", "c", "e"]), (2, second)]
        assert (files.valid, files.test) == ((), ())


@pytest.mark.parametrize("seed", range(5))
def test_rare_items_and_short_sessions_go_until_none_is_left(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    events = pa.table(
        {
            "user_id": [draw.randrange(15) for _ in range(80)],
            "item_id": [min(draw.randrange(30), draw.randrange(30)) for _ in range(80)],
        }
    )
    files = sessions_from_events(events, tmp_path / "out", split=None, min_length=4, min_item_count=3)
    kept = events.to_pylist()
    while True:
        items = Counter(event["item_id"] for event in kept)
        left = [event for event in kept if items[event["item_id"]] >= 3]
        users = Counter(event["user_id"] for event in left)
        left = [event for event in left if users[event["user_id"]] >= 4]
        if len(left) == len(kept):
            break
        kept = left
    expected = {
        u: [event["item_id"] for event in e]
        for u, e in grouped(pa.Table.from_pylist(kept), "user_id", None).items()
    }
    assert {key: row["item_id"] for key, row in written(files.train, files, "user_id")} == expected


@pytest.mark.parametrize("by", ["last", "first"])
def test_windows_of_a_day_against_plain_python(tmp_path: Path, by: Any) -> None:
    events = generate_sessions(80, 40, clusters=4, days=4, seed=4)
    files = sessions_from_events(
        events,
        tmp_path / "out",
        user="session_id",
        time="timestamp",
        split="time-window",
        window="1d",
        window_by=by,
    )
    days: dict[datetime.date, list[Any]] = {}
    place = -1 if by == "last" else 0
    users = grouped(events, "session_id", "timestamp")
    for key in sorted(users, key=lambda u: users[u][place]["timestamp"]):
        days.setdefault(users[key][place]["timestamp"].date(), []).append(key)
    assert [pq.read_table(path)["session_id"].to_pylist() for path in files.windows] == list(days.values())
    assert (len(files.train), len(files.valid), len(files.test)) == (len(days) - 2, 1, 1)
    assert [path.name for path in files.windows][:2] == ["window-0000.parquet", "window-0001.parquet"]


@pytest.mark.parametrize(
    ("times", "window", "unit", "expected"),
    [
        ([0, 86_399, 86_400, 200_000], "1d", "s", [[0, 1], [2], [3]]),
        ([0, 3_599_999, 3_600_000, 9], "1h", "ms", [[0, 3, 1], [2]]),
        ([10, 20, 30, 110], 2, "s", [[0, 1, 2], [3]]),
        ([5, 5, 5, 5], 3, "s", [[0, 1, 2, 3]]),
        ([0.5, 59.9, 60.0, 119.0], "1min", "s", [[0, 1], [2, 3]]),
        ([datetime.date(2024, 1, d) for d in (1, 2, 9, 3)], "1w", "s", [[0, 1, 3], [2]]),
        # Five days are three times 40 hours.
        ([datetime.date(1970, 1, d) for d in (6, 5, 7, 1)], "40h", "s", [[3], [1], [0, 2]]),
    ],
)
def test_windows_by_hand(tmp_path: Path, times: Any, window: Any, unit: Any, expected: Any) -> None:
    events = pa.table({"user_id": [0, 1, 2, 3], "item_id": [1, 1, 2, 2], "t": times})
    files = sessions_from_events(
        events,
        tmp_path / "out",
        time="t",
        split="time-window",
        window=window,
        time_unit=unit,
        min_length=1,
    )
    assert [pq.read_table(path)["user_id"].to_pylist() for path in files.windows] == expected
    kind = pq.read_schema(files.windows[0]).field("t").type.value_type
    assert kind == events["t"].type


def test_a_vocabulary_of_training_rows_does_not_know_later_items(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"time": "timestamp", "vocabulary_from": "train"}
    files = sessions_from_events(HAND, tmp_path / "out", **arguments)
    assert files.vocabularies["item_id"].values.to_pylist() == ["a", "c"]
    assert pq.read_table(files.test[0])["item_id"].to_pylist() == [[3, 2, 2, 1], [1, 2, 1]]
    assert files.schema.cardinality("item_id") == 4
    windows = sessions_from_events(HAND, tmp_path / "w", time="timestamp", split="time-window", window=2)
    # The only session that ends in the first half is w: c a.
    assert windows.vocabularies["item_id"].values.to_pylist() == ["a", "c"]


def test_the_schema_says_what_the_files_hold(tmp_path: Path) -> None:
    events = generate_sessions(50, 30, clusters=3, seed=1)
    files = sessions_from_events(
        events, tmp_path / "out", user="session_id", time="timestamp", features=["category", "price"]
    )
    schema = SessionFiles.load(files.folder).schema
    assert schema.column_names == ["session_id", "item_id", "category", "price", "timestamp"]
    assert schema.select_by_tag(Tags.ITEM_ID).column_names == ["item_id"]
    assert schema.select_by_tag(Tags.SESSION_ID).column_names == ["session_id"]
    assert schema.select_by_tag(Tags.CATEGORICAL).column_names == ["item_id", "category"]
    assert schema.select_by_tag(Tags.CONTINUOUS).column_names == ["price"]
    assert schema.select_by_tag(Tags.TIME).column_names == ["timestamp"]
    assert schema.select_by_tag(Tags.SEQUENCE).column_names == ["item_id", "category", "price", "timestamp"]
    assert schema.cardinality("item_id") == files.vocabularies["item_id"].cardinality
    assert schema.domain_name("category") == "category"
    lengths = Counter(events["session_id"].to_pylist())
    assert schema["item_id"].value_count is not None
    assert schema["item_id"].value_count.max == max(lengths.values())
    batch = next(iter(ParquetLoader(files.test, schema, batch_size=4)))
    assert set(batch.features) == {"item_id", "category", "price", "timestamp"}


def test_features_may_be_said_to_be_of_a_kind(tmp_path: Path) -> None:
    events = HAND.append_column("size", pa.array([1, 2, 3, 4, 5, 6, 7, 8, None]))
    events = events.append_column("score", pa.array([0.5, 1.5] * 4 + [0.5]))
    files = sessions_from_events(
        events, tmp_path / "out", features={"size": "categorical", "score": "categorical"}, split=None
    )
    assert files.schema.select_by_tag(Tags.CONTINUOUS).column_names == []
    # The missing size of v's last event is an unknown one, not the padding.
    assert written(files.train, files, "user_id")[1][1]["size"] == [2, 5, None]
    assert pq.read_table(files.train[0])["size"].to_pylist()[1][-1] == 1
    numbers = sessions_from_events(HAND, tmp_path / "n", features={"timestamp": "continuous"}, split=None)
    assert pq.read_table(numbers.train[0])["timestamp"].to_pylist()[0] == [3.0, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("empty", [0, 1])
@pytest.mark.parametrize("values", [[7, 8], ["x", "y"]])
def test_a_file_may_lack_all_values_of_a_feature(
    parquet: Callable[..., str], tmp_path: Path, values: list[Any], empty: int
) -> None:
    files = []
    for part in (0, 1):
        feature = pa.nulls(2) if part == empty else pa.array(values)
        events = pa.table({"user_id": [part] * 2, "item_id": [1, 2], "kind": feature})
        files.append(parquet(events, f"{part}.parquet"))
    done = sessions_from_events(files, tmp_path / "out", features=["kind"], split=None)
    rows = {row: found["kind"] for row, found in written(done.train, done, "user_id")}
    assert rows == {empty: [None, None], 1 - empty: values}


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    events = HAND.append_column("a/b", pa.array(["x", "y"] * 4 + ["x"]))
    for split, window in (("leave-one-out", None), ("time-window", 3), (None, None)):
        arguments: dict[str, Any] = {"split": split, "window": window, "features": ["a/b"]}
        files = sessions_from_events(
            events, tmp_path / str(split), time="timestamp", min_length=1, **arguments
        )
        assert SessionFiles.load(files.folder) == files


def test_more_windows_than_their_names_have_digits_for_are_in_order(tmp_path: Path) -> None:
    events = pa.table({"user_id": [0, 1, 2], "item_id": [1, 1, 1], "t": [0, 60, 120]})
    files = sessions_from_events(
        events, tmp_path / "out", time="t", split="time-window", window="1min", min_length=1
    )
    names = ["window-9998.parquet", "window-9999.parquet", "window-10000.parquet"]
    with new_folder(tmp_path / "later") as folder:
        shutil.copytree(files.folder, folder, dirs_exist_ok=True)
        (folder / "manifest.json").unlink()
        for path, name in zip(files.windows, names, strict=True):
            (folder / path.name).rename(folder / name)
    assert [path.name for path in SessionFiles.load(tmp_path / "later").windows] == names


def test_the_folder_is_whole_or_absent(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError):
        sessions_from_events(HAND, out, features=["gone"])
    assert list(tmp_path.iterdir()) == []
    first = sessions_from_events(HAND, out, time="timestamp")
    with pytest.raises(
        DataError, match=r"folder .*out is not empty, it holds .*: name another, or give overwrite"
    ):
        sessions_from_events(HAND, out, time="timestamp")
    second = sessions_from_events(HAND, out, time="timestamp", split=None, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not first.test[0].exists()
    assert second.counts == {"train": 3, "valid": 0, "test": 0}
    (out / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"holds \['notes.txt'\], which sessions_from_events did not write"):
        sessions_from_events(HAND, out, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"
    with pytest.raises(DataError, match=r"notes.txt is a file: name a folder"):
        sessions_from_events(HAND, out / "notes.txt")


def column(name: str, values: Any) -> pa.Table:
    return HAND.set_column(HAND.column_names.index(name), name, pa.array(values))


@pytest.mark.parametrize(
    ("events", "arguments", "text"),
    [
        (HAND, {"user": "who"}, r"column 'who' is not in the table, which has \['user_id', 'item_id'"),
        (HAND, {"features": ["who"]}, "column 'who' is not in the table"),
        (
            HAND,
            {"features": ["item_id"]},
            "column 'item_id' is named twice among user, item, time and features",
        ),
        (
            column("item_id", [*"abcdefgh", None]),
            {},
            "column 'item_id' has 1 missing values, the first in event 8",
        ),
        (
            column("item_id", [*map(float, range(8)), float("nan")]),
            {},
            "column 'item_id' has 1 missing values, the first in event 8",
        ),
        (
            HAND.append_column("item_id", HAND["item_id"]),
            {},
            "column 'item_id' is in the table 2 times: rename the others",
        ),
        (
            column("user_id", [None, *"abcdefgh"]),
            {},
            "column 'user_id' has 1 missing values, the first in event 0",
        ),
        (
            column("item_id", [["a"]] * 9),
            {},
            r"column 'item_id' of the table has type list<.*expected one value",
        ),
        (
            column("timestamp", list("abcdefghi")),
            {},
            "time column 'timestamp' has type string, expected a timestamp",
        ),
        (
            column("timestamp", [float("inf")] * 9),
            {},
            "time column 'timestamp' holds values that are not finite",
        ),
        (
            HAND.set_column(2, "timestamp", pa.array([2**63] * 9, pa.uint64())),
            {},
            r"time column 'timestamp' has numbers of 2\*\*63 or more",
        ),
        (HAND, {"features": {"item_id2": "categorical"}}, "column 'item_id2' is not in the table"),
        (
            HAND.append_column("x", pa.array(list("abcdefghi"))),
            {"features": {"x": "continuous"}},
            "column 'x' has type string, expected numbers",
        ),
        (
            HAND.append_column("x", pa.array([float("nan")] * 9)),
            {"features": ["x"]},
            "column 'x' has 9 values that are not finite numbers, the first in event 0",
        ),
        (HAND, {"min_length": 9}, "no event is left: no session has 9 items that occur 1 times"),
        (HAND.slice(0, 0), {}, "the table holds no rows"),
        (HAND.slice(0, 3), {}, "no session has three items, so leave-one-out has nothing to test"),
        (
            HAND.slice(0, 4),
            {"min_length": 3},
            "every session has three items, so leave-one-out has nothing to train",
        ),
    ],
)
def test_unusable_events(tmp_path: Path, events: pa.Table, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError, match=text):
        sessions_from_events(events, tmp_path / "out", **{"time": "timestamp", **arguments})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"split": "random"}, "split is 'random', expected 'leave-one-out', 'time-window' or None"),
        ({"split": "time-window", "time": "timestamp"}, "split 'time-window' needs the arguments time"),
        (
            {"split": "time-window", "time": "timestamp", "window": "1 month"},
            "window is '1 month', expected a length",
        ),
        ({"split": "time-window", "time": "timestamp", "window": 0}, "window is 0, expected a length"),
        ({"vocabulary_from": "test"}, "vocabulary_from is 'test', expected 'all' or 'train'"),
        ({"max_length": 1}, "max_length is 1, expected at least 2"),
        ({"features": {"timestamp": "number"}}, "feature 'timestamp' is said to be 'number'"),
    ],
)
def test_arguments(tmp_path: Path, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        sessions_from_events(HAND, tmp_path / "out", **arguments)


def test_folders_that_were_not_prepared_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"there is no folder .*gone: name a folder that sessions_from_events"
    ):
        SessionFiles.load(tmp_path / "gone")
    with pytest.raises(DataError, match=r"holds no schema\.pbtxt"):
        SessionFiles.load(tmp_path)
    files = sessions_from_events(HAND, tmp_path / "out")
    files.train[0].unlink()
    with pytest.raises(DataError, match=r"train\.parquet is missing in .*: restore it or prepare the sess"):
        SessionFiles.load(files.folder)


def test_the_data_module_gives_each_split(tmp_path: Path, parquet: Callable[..., str]) -> None:
    files = sessions_from_events(
        generate_sessions(60, 40, clusters=4, seed=3), tmp_path / "out", user="session_id", time="timestamp"
    )
    module = SessionDataModule(
        files.folder, batch_size=8, evaluation_batch_size=16, max_sequence_length=4, bucket=2
    )
    loaders = {
        "train": module.train_dataloader(),
        "valid": module.val_dataloader(),
        "test": module.test_dataloader(),
        "predict": module.predict_dataloader(),
    }
    for split, loader in loaders.items():
        assert isinstance(loader, ParquetLoader)
        table = pq.read_table(getattr(files, "test" if split == "predict" else split)[0])
        rows, keys = [], []
        for batch in loader:
            assert batch.rows is not None
            rows += batch.rows.tolist()
            keys += loader.keys(batch.rows)["session_id"].to_pylist()
            items = [table["item_id"][row].as_py()[-4:] for row in batch.rows.tolist()]
            assert batch["item_id"].values.tolist() == [i for row in items for i in row]
        assert keys == [table["session_id"][row].as_py() for row in rows]
        assert sorted(rows) == list(range(files.counts["test" if split == "predict" else split]))
        assert (rows == sorted(rows)) is (split != "train")
    unsplit = sessions_from_events(HAND, tmp_path / "all", split=None)
    module = SessionDataModule(unsplit, batch_size=2)
    assert (module.val_dataloader(), module.test_dataloader()) == ([], [])
    assert len(module.predict_dataloader()) == 2
