"""MovieLens-1M for retrieval: its files become histories, targets and pairs; models are compared."""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from merlin_models_torch.examples import retrieval
from merlin_models_torch.examples.retrieval_data import Films, read_films

USERS, FILMS = 12, 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users 1 to 12 watch six to eight films each; original ids are 100 (films) and 50 (users) larger."""
    folder = tmp_path_factory.mktemp("ml-1m")
    rng = np.random.default_rng(0)
    lines = [
        f"{user} {film}"
        for user in range(1, USERS + 1)
        for film in (rng.permutation(FILMS)[: 6 + user % 3] + 1).tolist()
    ]
    with gzip.open(folder / "ml-1m.txt.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
    for name, count, more in (("users", USERS, 50), ("items", FILMS, 100)):
        rows = [f"{i} {i + more}" for i in range(1, count + 1)]
        (folder / f"sas_to_original_{name}.txt").write_text("\n".join(rows) + "\n")
    rows = [f"{u + 50}::{'FM'[u % 2]}::{25 + u % 3}::{u % 4}::12345" for u in range(1, USERS + 1)]
    (folder / "users.dat").write_text("\n".join(rows) + "\n")
    rows = [
        f"{i + 100}::Film: {i} ({1990 + i % 3})::{'Drama|War' if i % 2 else 'War'}"
        for i in range(1, FILMS + 1)
    ]
    (folder / "movies.dat").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def films(folder: Path) -> Films:
    return read_films(folder, folder / "data")


def watched(folder: Path) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for line in gzip.decompress((folder / "ml-1m.txt.gz").read_bytes()).decode().splitlines():
        user, film = map(int, line.split())
        found.setdefault(user, []).append(film)
    return found


def test_the_last_film_is_asked_for_after_all_before(folder: Path, films: Films) -> None:
    item, user = films.vocabularies["item_id"], films.vocabularies["user_id"]
    everything = watched(folder)
    for question, left in ((films.test, 1), (films.valid, 2)):
        owners = user.decode(question.users["user_id"].to_numpy()).to_pylist()
        for row, owner in enumerate(owners):
            history = item.decode(question.users["item_id"][row].values.to_numpy()).to_pylist()
            assert history == everything[owner][:-left]
            assert question.targets[row] == everything[owner][-left]


def test_pairs_are_the_latest_films_with_the_columns_of_both(folder: Path, films: Films) -> None:
    pairs = films.pairs(3)
    vocabularies = films.vocabularies
    names = ("user_id", "item_id", "gender", "age", "year")
    user, item, gender, age, year = (
        vocabularies[name].decode(pairs[name].to_numpy()).to_pylist() for name in names
    )
    wanted = [(u, i) for u, all_of_it in watched(folder).items() for i in all_of_it[:-2][-3:]]
    assert sorted(zip(user, item, strict=True)) == sorted(wanted)
    assert gender == ["FM"[u % 2] for u in user]
    assert age == [str(25 + u % 3) for u in user]
    assert year == [str(1990 + i % 3) for i in item]
    genres = vocabularies["genres"].decode(np.concatenate(pairs["genres"].to_pylist())).to_pylist()
    assert genres == [genre for i in item for genre in (["Drama", "War"] if i % 2 else ["War"])]


def test_popular_films_leave_out_the_history(films: Films) -> None:
    answers = retrieval.popular(films, films.counts, films.test)["item_id"].to_pylist()
    item = films.vocabularies["item_id"]
    counts = dict(zip(item.values.to_pylist(), films.counts[item.first :].tolist(), strict=True))
    for row, found in enumerate(answers):
        seen = set(item.decode(films.test.users["item_id"][row].values.to_numpy()).to_pylist())
        unseen = [i for i in sorted(counts, key=lambda i: (-counts[i], item.encode([i])[0])) if i not in seen]
        assert found[: len(unseen)] == unseen[:10]


def test_measures_by_hand() -> None:
    question = retrieval.Question(pa.table({}), np.array([7, 5, 1]))
    found = retrieval.measures(pa.table({"item_id": [[7, 8], [4, 5], [2, 3]]}), question)
    assert found["HR@10"] == pytest.approx(2 / 3)
    assert found["NDCG@10"] == pytest.approx((1 + 1 / math.log2(3)) / 3)


@pytest.mark.filterwarnings("ignore")
def test_the_command_compares_models_and_writes_figures(folder: Path, tmp_path: Path) -> None:
    arguments = [
        "--data",
        str(folder),
        "--out",
        str(tmp_path),
        "--latest",
        "4",
        "--epochs",
        "2",
        "--seeds",
        "2",
    ]
    retrieval.main(arguments)
    results = json.loads((tmp_path / "results.json").read_text())
    assert list(results) == ["most popular", "most popular of the latest 4", *retrieval.SYSTEMS]
    for name in retrieval.SYSTEMS:
        assert len(results[name]["validation"]) == 2
        assert 0 <= results[name]["test"]["NDCG@10"]["mean"] <= results[name]["test"]["HR@10"]["mean"] <= 1
