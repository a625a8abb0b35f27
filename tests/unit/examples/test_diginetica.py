"""Diginetica by its protocol: the figures are those of ranking every prefix by itself."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import merlin_models_torch as mm
from merlin_models_torch.examples import diginetica

REAL = Path(__file__).parents[4] / "shared" / "data" / "diginetica"
SETTING = diginetica.Setting(epochs=2, dim=8, layers=1, batch_size=16)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in the format of Diginetica: 40 items, mostly one after the other."""
    folder = tmp_path_factory.mktemp("diginetica")
    rng = np.random.default_rng(0)

    def lines(sessions: int) -> str:
        starts, lengths = rng.integers(1, 41, sessions), rng.integers(2, 7, sessions)
        steps = [rng.choice([1, 1, 1, 5], length).cumsum() for length in lengths]
        rows = [(start + step) % 40 + 1 for start, step in zip(starts, steps, strict=True)]
        return "".join(" ".join(map(str, row)) + "\n" for row in rows)

    with gzip.open(folder / "train.txt.gz", "wt") as file:
        file.write(lines(160))
    (folder / "test.txt").write_text(lines(30))
    return folder


def test_lines_become_events_in_order(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("5 3\n1 2 3\n")
    with gzip.open(tmp_path / "test.txt.gz", "wt") as file:
        file.write("3 1\n")
    events = diginetica.read_events(tmp_path, held_out=1)
    assert events["session_id"].to_pylist() == [0, 0, 1, 1, 1, 2, 2]
    assert events["item_id"].to_pylist() == [5, 3, 1, 2, 3, 3, 1]
    assert events["part"].to_pylist() == [0, 0, 1, 1, 1, 2, 2]
    assert diginetica.read_events(tmp_path)["part"].to_pylist() == [0, 0, 0, 0, 0, 2, 2]


def test_the_figures_are_those_of_every_prefix_by_itself(data: Path, tmp_path: Path) -> None:
    report = diginetica.run(data, tmp_path, SETTING, bf16=False)
    sessions = [list(map(int, line.split())) for line in (data / "test.txt").read_text().splitlines()]
    model = mm.load(tmp_path / "model")
    vocabulary = model.item_vocabulary
    assert vocabulary is not None
    prefixes = [(row[:at], row[at]) for row in sessions for at in range(1, len(row))]
    codes = [vocabulary.encode(pa.array(prefix)).tolist() for prefix, _ in prefixes]
    answers = model.predict(pa.table({"item_id": codes}), k=20, exclude_seen=False)["item_id"].to_pylist()
    ranks = [
        answered.index(target) + 1 if target in answered else np.inf
        for answered, (_, target) in zip(answers, prefixes, strict=True)
    ]
    assert report["targets"] == len(prefixes)
    assert report["figures"]["this run"] == pytest.approx(
        {"HR@20": 100 * np.mean(np.isfinite(ranks)), "MRR@20": 100 * np.mean(1 / np.array(ranks))}, rel=1e-4
    )
    assert json.loads((tmp_path / "report.json").read_text()) == report


def test_baselines_by_hand(data: Path, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("1 2\n1 2\n1 3\n4 4 4\n")
    (tmp_path / "test.txt").write_text("1 3 4\n2 1\n")
    files = diginetica.prepare(tmp_path, tmp_path / "data")
    # By frequency 4 and 1 (3 times), 2 (2), 3 (1); 1 is followed by 2, 3; 4 by 4; 2 and 3 by nothing.
    options = {"metrics": ("hit_rate", "mrr"), "top_ks": (2,), "evaluate_on": "all"}
    popular = diginetica.popularity_metrics(files, **options)
    assert popular["hit_rate_at_2"] == pytest.approx(2 / 3)
    assert popular["mrr_at_2"] == pytest.approx((1 + 1 / 2) / 3)
    following = diginetica.follower_metrics(files, **options)
    assert following == pytest.approx({"hit_rate_at_2": 1 / 3, "mrr_at_2": (1 / 2) / 3})


def test_choosing_on_validation_leaves_the_test_alone(data: Path, tmp_path: Path) -> None:
    report = diginetica.run(data, tmp_path, SETTING, held_out=20, bf16=False)
    with gzip.open(data / "train.txt.gz", "rt") as file:
        held_out = file.readlines()[-20:]
    assert report["measured_on"] == "validation"
    assert report["targets"] == sum(len(line.split()) - 1 for line in held_out)
    assert list(report["figures"]) == ["this run"]
    assert report["sessions"] == {"train": 140, "valid": 20, "test": 30}


def test_a_folder_without_the_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        diginetica.main(["--data", str(tmp_path)])
    assert "holds no train.txt.gz: give its folder with DATA=... or --data" in capsys.readouterr().err


@pytest.mark.skipif(not REAL.is_dir(), reason=f"needs the Diginetica sessions in {REAL}")
def test_the_protocol_asks_for_as_many_targets_as_published(tmp_path: Path) -> None:
    files = diginetica.prepare(REAL, tmp_path / "data")
    assert files.counts == {"train": 186_670, "valid": 0, "test": 15_963}
    model = diginetica.build_model(files, SETTING, steps=1)
    assert model.output.cardinality - len(model.never_answered) == 43_097
    assert diginetica.count_targets(model, files.test) == 60_858
    learned = mm.ParquetLoader(files.train, files.schema, batch_size=4096)
    assert sum(model.output.count(model.inputs.for_training(batch)) for batch in learned) == 719_470
