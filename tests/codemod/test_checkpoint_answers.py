"""``merlin-migrate checkpoint`` compares answers, of programs or recorded, and refuses those that differ."""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from deprecation import DeprecatedWarning
from merlin_migrate.checkpoint_merlin import convert_merlin
from merlin_migrate.cli import main
from merlin_migrate.codemod import rewrite_source
from merlin_migrate.running import model_of
from merlin_migrate.unpickle_model import write_folder
from merlin_migrate.weights import CheckpointError
from safetensors.torch import load_file, save_file

import merlin_models_torch as mm
from tests.equivalence.make_data import Sessions, write_windows

PROGRAMS = Path(__file__).parents[1] / "compat"
PROGRAM = """\
import sys
from merlin.io import Dataset
from transformers4rec import torch as tr
from transformers4rec.config.trainer import T4RecTrainingArguments

length = int(sys.argv[1])
schema = Dataset("data/train.parquet").schema.select_by_name(["item_id", "category", "price"])
inputs = tr.TabularSequenceFeatures.from_schema(
    schema, max_sequence_length=length, masking="causal", d_output=16
)
config = tr.XLNetConfig.build(16, 2, 1, 20)
body = tr.SequentialBlock(inputs, tr.MLPBlock([16]), tr.TransformerBlock(config, masking=inputs.masking))
task = tr.NextItemPredictionTask(weight_tying=True)
model = tr.Model(tr.Head(body, task, inputs=inputs))
args = T4RecTrainingArguments(output_dir="out", max_sequence_length=length, report_to=[])
trainer = tr.Trainer(model=model, args=args, schema=schema)
trainer.train_dataset_or_path = "data/train.parquet"
trainer.train()
open("trained", "w")
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data, the program, and weights of its model."""
    monkeypatch.chdir(tmp_path)
    made = write_windows(tmp_path / "made", Sessions(items=60, categories=6), windows=1, train=16, valid=40)
    (made / "1").rename("data")
    (made / "schema.pbtxt").rename("data/schema.pbtxt")
    Path("program.py").write_text(PROGRAM)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecatedWarning)
        model = _stirred(model_of(PROGRAM.encode(), Path("program.py"), ["12"]))
        Path("checkpoint-4").mkdir()
        torch.save(model.state_dict(), "checkpoint-4/pytorch_model.bin")
        write_folder(model, "written")
    return tmp_path


def _stirred(model: Any) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def test_the_old_program_is_enough(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "checkpoint-4", "program.py", "new", "--", "12"]) == 0
    printed = capsys.readouterr().out
    assert re.search(
        r"checked: 16 rows have the scores of program\.py on the drop-in \(largest difference \S+\), "
        "16 of them the same 10 best items",
        printed,
    )
    assert not Path("trained").exists()
    expected = load_file("written/answers.safetensors")
    columns = {name.partition("/")[2]: x for name, x in expected.items() if name.startswith("batch/")}
    lengths = (columns["item_id"] != 0).sum(1).tolist()
    table = {
        name: [row[:n].tolist() for row, n in zip(x, lengths, strict=True)] for name, x in columns.items()
    }
    answers = mm.load("new").predict(table, k=5)
    best = expected["answers/"].topk(5)
    assert answers["item_id"].to_pylist() == best.indices.tolist()
    torch.testing.assert_close(torch.tensor(answers["score"].to_pylist()), best.values, atol=1e-5, rtol=0)


def test_the_rewritten_program_and_the_old_one_on_other_rows(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("new.py").write_bytes(rewrite_source(PROGRAM.encode()).after)
    command = ["checkpoint", "checkpoint-4/pytorch_model.bin", "new.py", "new", "--old", "program.py"]
    assert main([*command, "--data", "data/valid.parquet", "--", "12"]) == 0
    assert "checked: 16 rows have the scores of program.py on the drop-in" in capsys.readouterr().out


def test_recorded_answers_are_found_beside_the_weights(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["checkpoint", "written", "program.py", "new", "--", "12"]) == 0
    assert "scores of the old model, in written/answers.safetensors" in capsys.readouterr().out
    shutil.copytree("new", "untrained")
    command = ["checkpoint", "checkpoint-4", "untrained", "again", "--answers", "written/answers.safetensors"]
    assert main(command) == 0


def test_answers_that_differ_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = rewrite_source(PROGRAM.encode()).after.decode()
    Path("new.py").write_text(text.replace("attend_to_padding=True", "attend_to_padding=False"))
    assert main(["checkpoint", "written", "new.py", "new", "--", "12"]) == 2
    assert re.search(
        r"answers otherwise than the old model, .* scores differ by up to \S+, \S+ would be rounding",
        capsys.readouterr().err,
    )
    assert not Path("new").exists()
    state = load_file("written/model.safetensors")
    name = "heads.0.body.2.transformer.layer.0.rel_attn.q"
    save_file({**state, name: state[name].flip(0)}, "written/model.safetensors")
    assert main(["checkpoint", "written", "program.py", "new", "--", "12"]) == 2
    assert not Path("new").exists()


def test_programs_that_come_to_no_model(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def error(text: str, *arguments: str) -> str:
        Path("other.py").write_text(text)
        assert main(["checkpoint", "checkpoint-4", "other.py", "new", *arguments]) == 2
        return capsys.readouterr().err

    assert "other.py fails before it trains a model: IndexError" in error(PROGRAM)
    exits = "import argparse\nparser = argparse.ArgumentParser()\nparser.error('--data is missing')\n"
    assert "ends with 2 before it trains a model: give its own arguments after --" in error(exits)
    assert "trains no model and has none that is called model" in error("x = 1\n")
    assert "builds a builtins.int, expected a model of the new API" in error("model = 1\n")
    marked = PROGRAM.replace("tr.MLPBlock([16])", "tr.TabularDropout(0.1)")
    assert "places that need a hand: rewrite it, mend them, and give" in error(marked, "--", "12")
    assert "has no answers" in error(PROGRAM, "--answers", "checkpoint-4/pytorch_model.bin", "--", "12")
    assert "none.py cannot be read" in error(PROGRAM, "--old", "none.py", "--", "12")


def test_weights_of_another_program(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.py").write_text(
        PROGRAM.replace("XLNetConfig.build(16, 2, 1, 20)", "XLNetConfig.build(16, 2, 2, 20)")
    )
    assert main(["checkpoint", "checkpoint-4", "other.py", "new", "--", "12"]) == 2
    assert "the weights belong to another model: nothing for body.layers.2.layer.1" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["v2_dlrm", "v2_dcn_two_targets"])
def test_models_of_v2(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = PROGRAMS / "programs_merlin" / f"{name}.py"
    arguments = ["--output-dir", str(tmp_path / "out")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecatedWarning)
        old = model_of(program.read_bytes(), program, arguments)
        from merlin.models.torch.batch import Batch
        from merlin_migrate.answers import batch_for

        new = model_of(rewrite_source(program.read_bytes()).after, program, arguments)
        old.initialize(Batch(batch_for(new)))
    state = _stirred(old).state_dict()
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "last.ckpt")
    command = [
        "checkpoint",
        str(tmp_path / "last.ckpt"),
        str(program),
        str(tmp_path / "new"),
        "--",
        *arguments,
    ]
    assert main(command) == 0
    assert re.search(r"checked: 16 rows have the scores of .*\.py on the drop-in", capsys.readouterr().out)
    some = next(place for place in state if place.endswith("table.weight"))
    with pytest.raises(CheckpointError, match=r"table\.weight is \(2, 2\) in the weights"):
        convert_merlin({**state, some: torch.zeros(2, 2)}, new)
    with pytest.raises(CheckpointError, match="another model: it has no table 'other'"):
        convert_merlin(
            {**state, "values.0.branches.other.values.0.to_wrap.table.weight": torch.zeros(2, 2)}, new
        )
    with pytest.raises(CheckpointError, match=r"another model: \d tensors of layers"):
        convert_merlin({**state, "values.7.to_wrap.weight": torch.zeros(2, 2)}, new)
    with pytest.raises(CheckpointError, match=r"another model: they predict .*other, it predicts"):
        convert_merlin({**state, "values.3.branches.other.target": torch.zeros(1)}, new)


@pytest.mark.parametrize("name", ["v1_click", "v1_lightning", "v1_soft", "v1_two_tasks"])
def test_models_of_v1(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = PROGRAMS / "programs_merlin" / f"{name}.py"
    arguments = ["--output-dir", str(tmp_path / "out")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecatedWarning)
        state = _stirred(model_of(program.read_bytes(), program, arguments)).state_dict()
    if name == "v1_lightning":  # what Lightning saves of to_lightning()
        state = {f"parent.{place}": tensor for place, tensor in state.items()}
    torch.save({"state_dict": state}, tmp_path / "last.ckpt")
    command = [
        "checkpoint",
        str(tmp_path / "last.ckpt"),
        str(program),
        str(tmp_path / "new"),
        "--",
        *arguments,
    ]
    assert main(command) == 0
    assert re.search(r"checked: 16 rows have the scores of .*\.py on the drop-in", capsys.readouterr().out)
