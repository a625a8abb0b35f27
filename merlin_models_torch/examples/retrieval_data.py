"""MovieLens-1M for retrieval models: histories, what was watched next, and columns of users and films."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import merlin_models_torch as mm
from merlin_models_torch.examples.ml_1m import read_events

USER_COLUMNS = ("gender", "age", "occupation")


@dataclass(frozen=True)
class Question:
    """Who is asked for, what they have watched, and what they watched next.

    Args:
        users: one row a user: the code ``user_id``, the columns of the user, and the list ``item_id``.
        targets: (U,) original ids of the next films.
    """

    users: pa.Table
    targets: NDArray[np.int64]


@dataclass(frozen=True)
class Films:
    """Everything that the models are made of.

    Args:
        schema: of users and films, one value a row but the list of genres.
        vocabularies: by column.
        train: one row a user as in :class:`Question`, with the training films.
        items: one row a film: its code, genres and year.
        valid: the film before the last is asked for.
        test: the last film is asked for.
        counts: (V,) how often each film was watched in training, by code.
    """

    schema: mm.Schema
    vocabularies: dict[str, mm.Vocabulary]
    train: pa.Table
    items: pa.Table
    valid: Question
    test: Question
    counts: NDArray[np.int64]

    def pairs(self, latest: int) -> pa.Table:
        """One row for each of the latest films of each user, with the columns of both."""
        lists = self.train["item_id"].combine_chunks()
        stops = lists.offsets.to_numpy()[1:]
        lengths = np.minimum(np.diff(lists.offsets.to_numpy()), latest)
        owners = np.repeat(np.arange(len(lists)), lengths)
        places = stops[owners] - lengths.cumsum()[owners] + np.arange(lengths.sum())
        films = lists.values.to_numpy()[places]
        columns = {name: self.train[name].take(pa.array(owners)) for name in ("user_id", *USER_COLUMNS)}
        rows = self.items.take(pa.array(films - self.vocabularies["item_id"].first))
        return pa.table({**columns, **{name: rows[name] for name in rows.column_names}})

    def sessions(self) -> mm.Schema:
        """The schema of the rows of users with their list of films."""
        item = self.schema["item_id"].with_shape(((0, None), (0, None)))
        return mm.Schema([item, *self.schema.select_by_name(list(USER_COLUMNS))])


def read_films(folder: Path, work: Path) -> Films:
    """Reads, encodes and splits MovieLens-1M.

    Args:
        folder: holds ml-1m.txt.gz, users.dat, movies.dat, sas_to_original_users.txt and
            sas_to_original_items.txt.
        work: where prepared sessions go.
    """
    import pyarrow.parquet as pq

    files = mm.data.sessions_from_events(
        read_events(folder / "ml-1m.txt.gz"), work, min_length=3, overwrite=True
    )
    item = files.vocabularies["item_id"]
    splits = [pq.read_table(paths[0]) for paths in (files.train, files.valid, files.test)]
    people = _users(folder, splits[0]["user_id"].to_numpy())
    films, vocabularies = _films(folder, item)
    coded: dict[str, object] = {}
    for name, values in people.items():
        vocabularies[name] = mm.Vocabulary.fit(pa.array(values))
        coded[name] = vocabularies[name].encode(values)
    train, valid, test = (pa.table({**coded, "item_id": split["item_id"]}) for split in splits)
    tags = {
        "user_id": [mm.Tags.USER_ID],
        **{name: [mm.Tags.USER] for name in USER_COLUMNS},
        "item_id": [mm.Tags.ITEM_ID],
        "genres": [mm.Tags.ITEM],
        "year": [mm.Tags.ITEM],
    }
    schema = mm.Schema(
        [
            mm.ColumnSchema(
                name,
                tags=[mm.Tags.CATEGORICAL, *kinds],
                dtype="int64",
                is_list=name == "genres",
                is_ragged=name == "genres",
                properties={"domain": {"min": 0, "max": vocabularies[name].cardinality - 1, "name": name}},
            )
            for name, kinds in tags.items()
        ]
    )
    codes = train["item_id"].combine_chunks().values.to_numpy()
    return Films(
        schema=schema,
        vocabularies=vocabularies,
        train=train,
        items=films,
        valid=_question(train, valid, item),
        test=_question(valid, test, item),
        counts=np.bincount(codes, minlength=item.cardinality),
    )


def _question(before: pa.Table, after: pa.Table, vocabulary: mm.Vocabulary) -> Question:
    """The film that ends each row after what was known before."""
    lists = after["item_id"].combine_chunks()
    last = lists.values.to_numpy()[lists.offsets.to_numpy()[1:] - 1]
    return Question(before, vocabulary.decode(last).to_numpy())


def _lines(path: Path, separator: str) -> list[list[str]]:
    return [line.split(separator) for line in path.read_text(encoding="latin-1").splitlines()]


def _users(folder: Path, ids: NDArray[np.int64]) -> dict[str, NDArray[np.int64] | list[str]]:
    """Columns of users by name."""
    original = {int(new): int(old) for new, old in _lines(folder / "sas_to_original_users.txt", " ")}
    known = {int(row[0]): row[1:4] for row in _lines(folder / "users.dat", "::")}
    rows = [known[original[user]] for user in ids.tolist()]
    return {"user_id": ids, **{name: [row[i] for row in rows] for i, name in enumerate(USER_COLUMNS)}}


def _films(folder: Path, item: mm.Vocabulary) -> tuple[pa.Table, dict[str, mm.Vocabulary]]:
    """Code, genres and year of each film in the order of its vocabulary, and the three vocabularies."""
    original = {int(new): int(old) for new, old in _lines(folder / "sas_to_original_items.txt", " ")}
    known = {int(row[0]): row[1:] for row in _lines(folder / "movies.dat", "::")}
    rows = [known[original[film]] for film in item.values.to_pylist()]
    genres = pa.array([row[1].split("|") for row in rows])
    years = pa.array([row[0][-5:-1] for row in rows])
    vocabularies = {
        "item_id": item,
        "genres": mm.Vocabulary.fit(genres.values),
        "year": mm.Vocabulary.fit(years),
    }
    coded = pa.array(vocabularies["genres"].encode(genres.values))
    table = pa.table(
        {
            "item_id": np.arange(item.first, item.cardinality),
            "genres": pa.ListArray.from_arrays(genres.offsets, coded),
            "year": vocabularies["year"].encode(years),
        }
    )
    return table, vocabularies
