"""The command line: a model is trained by a config file, evaluated, and answers as in Python."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

import merlin_models_torch as mm
from merlin_models_torch.cli import main
from tests.unit.clicks import click_schema, click_table
from tests.unit.sessions import session_model, session_table

pytest.importorskip("jsonargparse", reason="the extra 'cli' is not installed here")
CONFIG = {
    "seed_everything": 1,
    "model": {"dim": 8, "layers": 1, "top_ks": [5], "max_sequence_length": 10},
    "data": {"folder": "sessions", "batch_size": 32},
    "trainer": {
        "max_epochs": 1,
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
    },
    "output": "model",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sessions, a config, and the model that ``fit`` made of them."""
    folder = tmp_path_factory.mktemp("cli")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        pq.write_table(mm.data.generate_sessions(80, 40, seed=1), "events.parquet")
        mm.data.sessions_from_events("events.parquet", "sessions", user="session_id", item="item_id")
        Path("fit.yaml").write_text(yaml.safe_dump(CONFIG))
        assert main(["fit", "SessionModel", "--config", "fit.yaml", "--model.dim", "16"]) == 0
    return folder


def test_fit_saves_what_the_config_says(trained: Path) -> None:
    model = mm.load(trained / "model")
    assert model.inputs.item_table.embedding_dim == 16
    assert model.inputs.max_sequence_length == 10
    assert model.item_vocabulary is not None
    assert yaml.safe_load((trained / "config.yaml").read_text())["model"]["dim"] == 16


def test_fit_does_not_train_what_it_cannot_save(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trained)
    assert main(["fit", "SessionModel", "--config", "fit.yaml"]) == 2
    assert "model exists: choose another --output or pass --overwrite true" in capsys.readouterr().err


def test_fit_needs_no_config(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"model.dim": 8, "data.folder": trained / "sessions", "seed_everything": 1}
    options |= {f"trainer.{name}": value for name, value in CONFIG["trainer"].items()}  # type: ignore[attr-defined]
    said = {
        key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in options.items()
    }
    words = [word for name, value in said.items() for word in (f"--{name}", value)]
    assert main(["fit", "SessionModel", *words, "-o", "plain"]) == 0
    assert yaml.safe_load(Path("config.yaml").read_text())["data"]["batch_size"] == 128
    assert mm.load("plain").inputs.item_table.embedding_dim == 8


def test_evaluate_says_what_the_trainer_says(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trained)
    assert main(["evaluate", "model", "sessions"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert main(["evaluate", "model", "sessions/test.parquet", "-o", "figures.json"]) == 0
    assert json.loads(Path("figures.json").read_text()) == figures
    answers = mm.load("model").predict(_shorter("sessions/test.parquet"), k=5)["item_id"].to_pylist()
    vocabulary = mm.Vocabulary.load("sessions/vocabulary/item_id.parquet")
    last = vocabulary.decode(
        [row[-1] for row in pq.read_table("sessions/test.parquet")["item_id"].to_pylist()]
    )
    hits = [item in row for item, row in zip(last.to_pylist(), answers, strict=True)]
    assert figures["test_recall_at_5"] == pytest.approx(sum(hits) / len(hits), abs=1e-6)


def _shorter(path: str) -> dict[str, list[object]]:
    table = pq.read_table(path)
    return {
        name: [row[:-1] if isinstance(row, list) else row for row in table[name].to_pylist()]
        for name in table.column_names
    }


def test_predict_writes_what_python_gives(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    assert main(["predict", "model", "sessions", "--k", "4", "-o", "answers", "--exclude_seen", "true"]) == 0
    wanted = mm.load("model").predict("sessions/test.parquet", k=4, exclude_seen=True)
    assert pq.read_table("answers/test.parquet").equals(wanted)
    Path("predict.yaml").write_text(yaml.safe_dump({"k": 3, "keys": ["session_id"], "batch_size": 7}))
    assert main(["predict", "--config", "predict.yaml", "model", "sessions/test.parquet", "-o", "three"]) == 0
    assert len(pq.read_table("three/test.parquet")["item_id"][0]) == 3
    pq.write_table(pa.table({"item_id": [2, 3, 4]}), "deny.parquet")
    deny = ["predict", "model", "sessions", "--k", "4", "-o", "without", "--exclude", "deny.parquet"]
    assert main(deny) == 0
    wanted = mm.load("model").predict("sessions/test.parquet", k=4, exclude=[2, 3, 4])
    assert pq.read_table("without/test.parquet").equals(wanted)


def test_files_of_original_ids_are_answered_and_measured(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trained)
    coded, model = pq.read_table("sessions/test.parquet"), mm.load("model")
    rows = coded
    for name, vocabulary in model.vocabularies.items():
        own = pa.array([vocabulary.decode(row).to_pylist() for row in coded[name].to_pylist()])
        rows = rows.set_column(rows.column_names.index(name), name, own)
    Path("days").mkdir()
    pq.write_table(rows.slice(0, 30), "days/1.parquet", row_group_size=8)
    pq.write_table(rows.slice(30), "days/2.parquet")
    pq.write_table(pa.table({"item_id": model.vocabularies["item_id"].decode([2, 3, 4])}), "own.parquet")
    command = ["predict", "model", "days", "--raw_ids", "true", "-k", "3", "-o", "raw"]
    assert main([*command, "--exclude", "own.parquet"]) == 0
    wanted = model.predict(coded, k=3, exclude=[2, 3, 4])
    assert pq.read_table("raw").drop_columns("score").equals(wanted.drop_columns("score"))
    capsys.readouterr()
    assert main(["evaluate", "model", "days", "--raw_ids", "true"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert main(["evaluate", "model", "sessions"]) == 0
    assert figures == pytest.approx(json.loads(capsys.readouterr().out), rel=1e-5)
    assert main(["report", "model", "days", "--raw_ids", "true", "-o", "of_raw"]) == 0
    wanted_page = mm.report(model, model.raw_ids("days"), "own_of_raw").read_text()
    assert Path("of_raw/report.html").read_text() == wanted_page
    capsys.readouterr()
    assert main(["evaluate", "model", "sessions", "--raw_ids", "true"]) == 2
    assert "--raw_ids is true, but sessions is what sessions_from_events wrote" in capsys.readouterr().err


def test_report_writes_what_python_writes(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    arguments = ["report", "model", "sessions", "-o", "page", "--top_ks", "[1, 3]", "--title", "Mine"]
    assert main(arguments) == 0
    wanted = mm.report(mm.load("model"), "sessions", "own", top_ks=(1, 3), title="Mine").read_text()
    assert Path("page/report.html").read_text() == wanted
    assert main(["report", "model", "nothing", "-o", "page"]) == 2


def test_labels_of_other_targets_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    output = mm.BinaryOutput("click", weight="weight", metrics=("accuracy",))
    model = mm.Model(mm.TabularInputBlock(click_schema(), embedding_dim=4), mm.MLPBlock([4]), output).eval()
    model.save("model")
    pq.write_table(click_table(50), "clicks.parquet")
    assert main(["evaluate", "model", "clicks.parquet"]) == 0
    figures = json.loads(capsys.readouterr().out)
    said = [score > 0.5 for score in model.predict("clicks.parquet")["click_score"].to_pylist()]
    right = [a == bool(b) for a, b in zip(said, click_table(50)["click"].to_pylist(), strict=True)]
    assert figures["test_click_accuracy"] == pytest.approx(sum(right) / 50)


def test_mistakes_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train"]) == 2
    assert "'train' is no command, expected fit, evaluate, predict, report" in capsys.readouterr().err
    assert main(["fit", "NoModel", "-o", "model"]) == 2
    assert "'NoModel' builds no model: name one of" in capsys.readouterr().err
    assert main(["predict", "model", "data", "-o", "out"]) == 2
    assert capsys.readouterr().err.startswith("merlin-models-torch predict: model is not a folder")
    session_model().save("model")
    pq.write_table(session_table(), "data.parquet")
    assert main(["predict", "model", "data.parquet", "-o", "out"]) == 2
    assert "k is not given" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "predict   answers of a saved model" in capsys.readouterr().out
    assert main(["fit", "--help"]) == 0
    assert "MODEL is one of" in capsys.readouterr().out
