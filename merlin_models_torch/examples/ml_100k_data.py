"""MovieLens-100K as a table of events: read, described by a schema, split by time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

import merlin_models_torch as mm

IDS = ("user_id", "item_id", "gender", "occupation")
TAGS = {"user_id": mm.Tags.USER_ID, "item_id": mm.Tags.ITEM_ID, "genres": mm.Tags.ITEM}
TARGETS = {"click": mm.Tags.BINARY_CLASSIFICATION, "rating": mm.Tags.REGRESSION}


def read_events(folder: Path) -> pa.Table:
    """Ratings with the columns of users and films, in order of time.

    Args:
        folder: holds u.data (or u.data.gz), u.user and u.item.

    Returns:
        Codes of ids, lists of genres, the age in hundreds of years, the rating in stars above 3, and whether
        there are any as ``click``.
    """
    from pyarrow import csv

    def read(name: str, delimiter: str, columns: list[str]) -> pa.Table:
        found = folder / name
        return csv.read_csv(
            found if found.is_file() else folder / f"{name}.gz",
            read_options=csv.ReadOptions(column_names=columns, encoding="latin-1"),
            parse_options=csv.ParseOptions(delimiter=delimiter, quote_char=False),
        )

    events = read("u.data", "\t", ["user_id", "item_id", "rating", "time"])
    users = read("u.user", "|", ["user_id", "age", "gender", "occupation", "zip"])
    films = read(
        "u.item", "|", ["item_id", *(f"text {i}" for i in range(4)), *(f"{i}" for i in range(1, 20))]
    )
    flags = np.stack([films[f"{i}"].to_numpy() for i in range(1, 20)], 1)
    genres = pa.array([(np.flatnonzero(row) + 1).tolist() for row in flags], pa.list_(pa.int64()))
    event_users = np.searchsorted(users["user_id"].to_numpy(), events["user_id"].to_numpy())
    event_films = np.searchsorted(films["item_id"].to_numpy(), events["item_id"].to_numpy())
    columns: dict[str, object] = {
        name: mm.Vocabulary.fit(column).encode(column)
        for name, column in {
            "user_id": events["user_id"],
            "item_id": events["item_id"],
            "gender": users["gender"].take(pa.array(event_users)),
            "occupation": users["occupation"].take(pa.array(event_users)),
        }.items()
    }
    columns["genres"] = genres.take(pa.array(event_films))
    columns["age"] = (users["age"].to_numpy()[event_users] / 100).astype(np.float32)
    stars = events["rating"].to_numpy()
    columns["rating"] = (stars - 3).astype(np.float32)
    columns["click"] = (stars > 3).astype(np.int64)
    order = np.argsort(events["time"].to_numpy(), kind="stable")
    return pa.table(columns).take(pa.array(order))


def schema_of(events: pa.Table) -> mm.Schema:
    """Ids, genres and the age, and the click and the rating as targets."""

    def ids(name: str, top: int, *, lists: bool) -> mm.ColumnSchema:
        tags = [mm.Tags.CATEGORICAL, *([TAGS[name]] if name in TAGS else [])]
        domain = {"domain": {"min": 0, "max": top, "name": name}}
        return mm.ColumnSchema(
            name, tags=tags, dtype="int64", properties=domain, is_list=lists, is_ragged=lists
        )

    return mm.Schema(
        [
            *(ids(name, int(events[name].to_numpy().max()), lists=False) for name in IDS),
            ids("genres", 19, lists=True),
            mm.ColumnSchema("age", tags=[mm.Tags.CONTINUOUS], dtype="float32"),
            *(
                mm.ColumnSchema(name, tags=[mm.Tags.TARGET, tag], dtype="float32")
                for name, tag in TARGETS.items()
            ),
        ]
    )


def split_by_user(events: pa.Table) -> tuple[pa.Table, pa.Table, pa.Table]:
    """The first 80 % of each user's events for training, the next 10 % for validation, the last for the test.

    Args:
        events: in order of time.
    """
    users = events["user_id"].to_numpy()
    order = np.argsort(users, kind="stable")
    counts = np.bincount(users)
    place = np.empty(len(users), np.int64)
    place[order] = np.arange(len(users)) - (counts.cumsum() - counts)[users[order]]
    # In whole numbers, since 0.8 times a count is not exact.
    share = 10 * place, counts[users]
    train, valid = share[0] < 8 * share[1], share[0] < 9 * share[1]
    return (
        events.filter(pa.array(train)),
        events.filter(pa.array(valid & ~train)),
        events.filter(pa.array(~valid)),
    )
