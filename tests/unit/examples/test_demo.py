import re
import xml.etree.ElementTree as ET

import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.examples import demo


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield demo.run(tmp_path_factory.mktemp("demo"), sessions=1500, items=60, epochs=10)
    torch.set_num_threads(threads)


def test_the_model_beats_the_most_popular_items_clearly(outcome):
    ours, popular = outcome.scores[demo.MODEL], outcome.scores[demo.POPULAR]
    for metric in demo.METRICS:
        assert ours[f"{metric}_at_5"] > 2 * popular[f"{metric}_at_5"]


def test_the_loaded_model_answers_as_well_as_was_measured(outcome):
    assert outcome.loaded_hit_rate == pytest.approx(outcome.scores[demo.MODEL]["hit_rate_at_10"], abs=1e-6)


def test_examples_are_test_sessions_with_original_ids(outcome):
    events = mm.data.generate_sessions(1500, 60, max_length=demo.LONGEST)
    whole = {}
    for session, item in zip(events["session_id"].to_pylist(), events["item_id"].to_pylist(), strict=True):
        whole.setdefault(str(session), []).append(item)
    assert len(outcome.examples) == 6
    for example in outcome.examples:
        assert [*example.seen, example.followed_by] == whole[example.session][-len(example.seen) - 1 :]
        assert set(example.answers[demo.MODEL]) <= set(events["item_id"].to_pylist())


def test_the_report_shows_what_was_measured(outcome):
    text = outcome.report.read_text(encoding="utf-8")
    root = ET.fromstring(text.split("\n", 1)[1])
    cells = {cell.text for cell in root.iter("td")}
    for values in outcome.scores.values():
        assert {f"{value:.4f}" for value in values.values()} <= cells
    hits = sum(e.followed_by in answers for e in outcome.examples for answers in e.answers.values())
    assert text.count("✓ hit") == hits
    assert not re.search(r"https?:|//", text)


def test_lists_lose_their_last_value_and_keep_their_types():
    table = pa.table({"key": ["a"], "items": pa.array([[1, 2, 3]], pa.list_(pa.int32()))})
    expected = pa.table({"key": ["a"], "items": pa.array([[1, 2]], pa.list_(pa.int32()))})
    assert demo.without_last(table).equals(expected)


def test_a_model_without_vocabulary_cannot_name_its_answers(outcome):
    model = demo.build_model(outcome.files, steps=10)
    model.vocabularies = {}
    with pytest.raises(ValueError, match="the model knows no original ids"):
        demo.answer(model, pa.table({}), k=1)


@pytest.mark.parametrize(("name", "least"), [("sessions", 50), ("items", 20), ("epochs", 1)])
def test_the_command_refuses_numbers_that_are_too_small(name, least, tmp_path, capsys):
    with pytest.raises(SystemExit):
        demo.main(["--out", str(tmp_path / "out"), f"--{name}", "0"])
    assert f"--{name} is 0, expected at least {least}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_leaves_a_folder_of_others_alone(tmp_path, capsys):
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "mine.txt").write_text("mine")
    with pytest.raises(SystemExit) as stopped:
        demo.main(["--out", str(tmp_path), "--sessions", "60", "--items", "30", "--epochs", "1"])
    assert stopped.value.code == 1
    assert str(tmp_path / "sessions") in capsys.readouterr().err
    assert (tmp_path / "sessions" / "mine.txt").read_text() == "mine"
