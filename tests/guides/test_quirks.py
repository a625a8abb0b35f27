"""The script that measures what legacy options do, on generated sessions where the effects are known."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.guides import quirks

SIZE = quirks.Size(sessions=150, asked=60, least=1, length=6, dim=16, epochs=12, seeds=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sessions of even draws, where nothing can be learned; and users whose items follow one another."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)

    def write(name: str, lines: list[list[int]]) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        with gzip.open(folder / name, "wt") as file:
            file.writelines(" ".join(map(str, line)) + "\n" for line in lines)

    for name, sessions in (("train", 200), ("test", 70)):
        drawn = [rng.integers(1, 201, rng.integers(3, 7)).tolist() for _ in range(sessions)]
        write(f"diginetica/{name}.txt.gz", drawn)
    # The first items of a user say nothing of the last ones.
    users = [[*range(301, 311), *((start + step) % 300 + 1 for step in range(20))] for start in range(70)]
    write("ml-1m/ml-1m.txt.gz", [[user, item] for user, row in enumerate(users) for item in row])
    return folder


def test_sessions_are_read_and_rare_items_left_out(tmp_path: Path) -> None:
    for name, text in (("train", "1 2\n5 7 5\n7 5 9\n"), ("test", "7 9 5\n9 7\n5 7\n")):
        with gzip.open(tmp_path / f"{name}.txt.gz", "wt") as file:
            file.write(text)
    found = quirks.read_diginetica(tmp_path, quirks.Size(sessions=2, asked=1, least=2))
    assert found == quirks.Sessions(train=[[1, 2, 1], [2, 1]], asked=[[2, 1]], items=2)
    with gzip.open(tmp_path / "ml-1m.txt.gz", "wt") as file:
        file.write("1 4\n2 9\n1 3\n2 4\n3 1\n")
    found = quirks.read_movies(tmp_path, quirks.Size(asked=2))
    assert found == quirks.Sessions(train=[[4], [9]], asked=[[4, 3], [9, 4]], items=9)


def test_the_leak_is_in_what_validate_reports_and_not_in_predict(data: Path) -> None:
    sessions = quirks.read_diginetica(data / "diginetica", SIZE)
    plain, full = quirks.families(SIZE.length)["causal"].cases[:2]
    longer = replace(SIZE, epochs=80)
    honest, leaking = (quirks.measure(sessions, case, longer, 0) for case in (plain, full))
    assert honest.reported == pytest.approx(honest.predicted, abs=1e-6)
    assert leaking.predicted < 0.3
    assert leaking.reported > leaking.predicted + 0.3
    once, again = (quirks.measure(sessions, plain, SIZE, 0).predicted for _ in range(2))
    assert once == again


def test_the_oldest_items_say_little_and_a_table_is_written(data: Path, tmp_path: Path) -> None:
    (long,) = quirks.run(data, SIZE, ["long"], tmp_path / "runs.json")
    latest, oldest = long.runs.values()
    assert min(run.predicted for run in latest) > max(run.predicted for run in oldest)
    kept = json.loads((tmp_path / "runs.json").read_text())["runs"][long.name]
    assert [run["predicted"] for run in kept['`ParquetLoader(keep="oldest")`']] == [
        run.predicted for run in oldest
    ]
    lines = list(quirks.table([long]))
    assert len(lines) == 5
    assert re.fullmatch(r"\| `\S+keep=\"latest\"\)` \| 0\.\d{4} ± 0\.\d{4} \|  \| .* \| 1\.0 \|", lines[3])
    difference = np.mean([run.predicted for run in oldest]) - np.mean([run.predicted for run in latest])
    assert f"| {difference:+.4f} ± " in lines[4]
