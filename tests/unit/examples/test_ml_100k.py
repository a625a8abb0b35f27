"""MovieLens-100K: files in its format are read, split by user, and models compared on them."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from merlin_models_torch.examples import ml_100k
from merlin_models_torch.examples.ml_100k_data import read_events, schema_of, split_by_user


def write_files(folder: Path, ratings: list[tuple[int, int, int, int]], *, users: int, films: int) -> None:
    """Ratings of (user, film, stars, time), users of different ages and films of one or two genres."""
    lines = ["\t".join(map(str, row)) for row in ratings]
    (folder / "u.data").write_text("\n".join(lines) + "\n")
    jobs = ("writer", "other", "artist")
    lines = [f"{u}|{10 + 10 * u % 60}|{'MF'[u % 2]}|{jobs[u % 3]}|1" for u in range(1, users + 1)]
    (folder / "u.user").write_text("\n".join(lines) + "\n")
    flags = [[int(g in (i % 19, 2 * i % 19)) for g in range(19)] for i in range(1, films + 1)]
    lines = [f"{i}|Film|01-Jan-1995||url|" + "|".join(map(str, row)) for i, row in enumerate(flags, 1)]
    (folder / "u.item").write_text("\n".join(lines) + "\n")


def test_events_find_their_user_and_film(tmp_path: Path) -> None:
    write_files(tmp_path, [(2, 1, 5, 300), (1, 2, 3, 100)], users=2, films=2)
    events = read_events(tmp_path)
    assert events["click"].to_pylist() == [0, 1]
    assert events["rating"].to_pylist() == [0.0, 2.0]
    assert events["genres"].to_pylist() == [[3, 5], [2, 3]]
    assert [round(age, 4) for age in events["age"].to_pylist()] == [0.2, 0.3]
    assert len(set(events["gender"].to_pylist())) == 2
    names = ["user_id", "item_id", "gender", "occupation", "genres", "age", "click", "rating"]
    assert schema_of(events).column_names == names


def test_each_user_is_split_in_order_of_time() -> None:
    users = [1] * 10 + [2] * 20
    events = pa.table({"user_id": users, "number": [*range(10), *range(20)]}).take(
        pa.array(np.random.default_rng(0).permutation(30))
    )
    events = events.take(pa.array(np.argsort(events["number"].to_numpy(), kind="stable")))
    train, valid, test = split_by_user(events)

    def numbers(part: pa.Table, user: int) -> list[int]:
        return sorted(part["number"].to_numpy()[part["user_id"].to_numpy() == user].tolist())

    found = {user: [numbers(part, user) for part in (train, valid, test)] for user in (1, 2)}
    assert found[1] == [[*range(8)], [8], [9]]
    assert found[2] == [[*range(16)], [16, 17], [18, 19]]


def test_the_mean_and_a_perfect_answer_are_measured() -> None:
    events = pa.table({"click": [0, 1, 1, 1], "rating": [-1.0, 1.0, 2.0, 2.0]})
    mean = ml_100k.constant(events, events)
    assert mean["AUC"] == 0.5
    assert mean["log loss"] == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert mean["RMSE"] == pytest.approx(math.sqrt(1.5))
    answers = pa.table({"click_score": [0.1, 0.8, 0.9, 0.7], "rating_score": [-1.0, 1.0, 2.0, 1.0]})
    found = ml_100k.figures_of(answers, events)
    assert (found["AUC"], found["RMSE"]) == (1.0, 0.5)
    assert ml_100k.choice(found) == pytest.approx(-found["log loss"] - 0.5)
    assert ml_100k.choice({"log loss": 0.5}) == -0.5


@pytest.mark.filterwarnings("ignore")
def test_the_command_compares_models_and_writes_figures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    likes = {(u, i): 5 if (u + i) % 2 else 1 for u in range(1, 13) for i in range(1, 21)}
    ratings = [
        (u, i, s, int(t)) for ((u, i), s), t in zip(likes.items(), rng.permutation(len(likes)), strict=True)
    ]
    write_files(tmp_path, ratings, users=12, films=20)
    arguments = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--epochs", "2", "--seeds", "2"]
    ml_100k.main([*arguments, "--models", "logistic regression", "Wide & Deep", "PLE", "--batch-size", "64"])
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(results) == ["the mean", "logistic regression", "Wide & Deep", "PLE"]
    assert set(results["logistic regression"]["test"]) == {"AUC", "log loss"}
    assert set(results["Wide & Deep"]["test"]) == {"AUC", "log loss"}
    assert set(results["PLE"]["test"]) == {"AUC", "log loss", "RMSE"}
    assert len(results["PLE"]["epochs"]) == 2
    assert results["PLE"]["setting"] in [vars(setting) for setting in ml_100k.DEEP]
