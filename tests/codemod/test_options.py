"""The command line's options and its other commands."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from merlin_migrate import doctor as doctor_module
from merlin_migrate.cli import Rewriting, main, rewrite
from merlin_migrate.codemod import rewrite_source

PROGRAMS = sorted((Path(__file__).parents[1] / "compat" / "programs").glob("*.py"))
OLD = "from transformers4rec import torch as tr\n\nblock = tr.MLPBlock([64])\n"
NEW = "import merlin_models_torch as mm\n\nblock = mm.MLPBlock([64])\n"


def test_check_shows_no_difference_and_tells_by_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.py"
    file.write_text(OLD)
    assert main(["rewrite", "--check", str(file)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "1 file to rewrite" in err
    file.write_text(NEW)
    assert main(["rewrite", "--check", str(file)]) == 0


def test_one_rule_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.py"
    file.write_text(OLD + "task = tr.NextItemPredictionTask(metrics=[])\n")
    assert main(["rewrite", "--write", "--rule", "mm103", str(file)]) == 0
    assert file.read_text() == (
        "from transformers4rec import torch as tr\nimport merlin_models_torch as mm\n\n"
        "block = mm.MLPBlock([64])\ntask = tr.NextItemPredictionTask(metrics=[])\n"
    )
    with pytest.raises(SystemExit):
        main(["rewrite", "--rule", "MM999", str(file)])
    assert "there is no rule MM999, only MM101, MM102" in capsys.readouterr().err


def test_excluded_files_and_folders_are_left(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for name in ("a.py", "old_a.py", "old/b.py"):
        (tmp_path / name).write_text(OLD)
    assert main(["rewrite", "--write", "--exclude", "old", "--exclude", "*/old_*", str(tmp_path)]) == 0
    assert (tmp_path / "a.py").read_text() == NEW
    assert (tmp_path / "old_a.py").read_text() == OLD
    assert (tmp_path / "old" / "b.py").read_text() == OLD


def test_modern_leaves_the_quirks_out_and_marks_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.py"
    file.write_text(
        "from transformers4rec import torch as tr\n"
        'inputs = tr.TabularSequenceFeatures.from_schema(schema, max_sequence_length=20, masking="causal")\n'
        "task = tr.NextItemPredictionTask(metrics=[])\n"
    )
    assert main(["rewrite", "--write", "--modern", str(file)]) == 1
    where = "migration_guides/what-differs.md"
    assert file.read_text().splitlines() == [
        "import merlin_models_torch as mm",
        f"# merlin-migrate: MM102 left out, so numbers change: pad_to=20 {where}",
        '# merlin-migrate: MM102 left out, so numbers change: attention="full", replace_padding=True, '
        f"blank_last=True, attend_to_padding=True {where}",
        "inputs = mm.TabularInputBlock(schema, max_sequence_length=20, masking=mm.CausalMasking())",
        f"# merlin-migrate: MM104 left out, so numbers change: exclude=() {where}",
        "task = mm.CategoricalOutput()",
    ]
    before = file.read_text()
    assert main(["rewrite", "--write", "--modern", str(file)]) == 1
    assert file.read_text() == before
    assert "3 places marked for a hand" in capsys.readouterr().err


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_modern_names_every_option_that_it_leaves_out(program: Path) -> None:
    quirks = (
        *("pad_to", "attend_to_padding", "evaluate_single", "replace_padding", "blank_last", "hide_targets"),
        *("look_back", "predict_last", "appends", "ignore_plan", "exclude", "keep", "bias", "over_rows"),
    )
    source = program.read_bytes()
    kept, modern = rewrite_source(source), rewrite_source(source, modern=True)
    code = b"\n".join(line for line in modern.after.splitlines() if b"merlin-migrate:" not in line).decode()
    marked = " ".join(mark.reason for mark in modern.marks)
    for quirk in quirks:
        written = re.search(rf"\b{quirk} ?=", kept.after.decode()) is not None
        assert written == (f"{quirk}=" in marked or f"{quirk} =" in marked), quirk
        assert not re.search(rf"\b{quirk} ?=", code), quirk
    assert not rewrite_source(modern.after, modern=True).changed


def test_report_counts_names_and_what_needs_a_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text(OLD + "more = tr.MLPBlock([8])\nnoise = tr.StochasticSwapNoise(0.1)\n")
    (tmp_path / "b.py").write_text("x = 1\n")
    assert main(["report", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines]
    assert ["transformers4rec.torch.MLPBlock", "2", "2", "0"] in rows
    assert ["transformers4rec.torch.StochasticSwapNoise", "1", "0", "1"] in rows
    assert "3 uses of 2 names: 2 move by themselves, 1 need a hand" in lines
    assert lines[-1] == "in 1 of 2 files, 0 failed"
    place = next(line for line in lines if line.startswith(f"{tmp_path / 'a.py'}:"))
    assert re.search(r"a\.py:\d+: MM108 transformers4rec\.torch\.StochasticSwapNoise: .* \(migration", place)
    assert (tmp_path / "a.py").read_text().startswith(OLD)
    assert main(["report", str(tmp_path / "b.py")]) == 0
    assert "no legacy names are used" in capsys.readouterr().out


def test_lines_are_those_of_the_file_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "a.py"
    program.write_text(
        "from transformers4rec import torch as tr\n\n"
        "one = tr.MLPBlock([8])\ntwo = tr.MLPBlock(\n    [8],\n    dropout=0.1,\n)\n"
        "three = tr.StochasticSwapNoise(0.1)\nfour = tr.MLPBlock([4])\nfive = tr.AsTabular('x')\n"
    )
    for command in ("report", "rewrite"):
        assert main([command, str(program)]) == 1
        printed = "".join(capsys.readouterr())
        assert re.findall(r"a\.py:(\d+): MM108 transformers4rec\.torch\.(\w+)", printed) == [
            ("8", "StochasticSwapNoise"),
            ("10", "AsTabular"),
        ]
    main(["rewrite", "--write", str(program)])
    lines = program.read_text().splitlines()
    places = re.findall(r"a\.py:(\d+): MM108", capsys.readouterr().err)
    assert all("# merlin-migrate: MM108" in lines[int(place) - 1] for place in places)
    assert len(places) == 2


def test_names_are_looked_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["names", "xlnet", "BUILD"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("transformers4rec.torch.XLNetConfig.build (argument renamed): Use mm.XLNetBlock")
    assert "    n_head: heads\n" in out
    assert main(["names", "no such name"]) == 1
    assert capsys.readouterr().out == "no name has 'no such name'\n"
    assert main(["names", "NextItemPredictonTask"]) == 1
    assert "; near it are NextItemPredictionTask" in capsys.readouterr().out


def test_doctor_tells_of_both_distributions_and_of_shadowing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    versions = {"merlin-models-torch": "0.1.0"}
    monkeypatch.setattr(doctor_module, "installed", versions.get)
    assert main(["doctor"]) == 0
    assert "nothing stands in the way" in capsys.readouterr().out
    versions["transformers4rec"] = "23.12.0"
    (tmp_path / "transformers4rec.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "transformers4rec", raising=False)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "transformers4rec 23.12.0 and merlin-models-torch-compat are both installed" in out
    assert f"transformers4rec is shadowed by {tmp_path / 'transformers4rec.py'}: rename that" in out


def test_doctor_looks_at_versions_and_at_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    versions = {
        "merlin-models-torch": "0.1.0",
        "merlin-models-torch-compat": "0.1.0",
        "transformers": "5.1.0",
    }
    monkeypatch.setattr(doctor_module, "installed", versions.get)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "merlin" / "schema").mkdir(parents=True)  # a namespace package shadows nothing
    assert list(doctor_module.problems()) == []
    (tmp_path / "merlin" / "__init__.py").touch()
    versions |= {"merlin-models-torch-compat": "0.2.0", "transformers": "4.30.2"}
    one, two, three = doctor_module.problems()
    assert (
        "merlin-models-torch is 0.1.0 and merlin-models-torch-compat 0.2.0: install the same version" in one
    )
    assert "transformers is 4.30.2, and 5 or newer is needed" in two
    shadow = tmp_path.resolve() / "merlin" / "__init__.py"
    assert f"merlin is shadowed by {shadow} for programs beside it" in three


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_many_files_are_shared_out_and_reported_in_order(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"{number:02}.py").write_text(OLD if number % 2 else "x = 1\n")
    (tmp_path / "30.py").write_text("import transformers4rec\nprint 1\n")
    out, err = io.StringIO(), _Terminal()
    assert rewrite([tmp_path], Rewriting(), colour=False, out=out, err=err) == 2
    changed = [line for line in out.getvalue().splitlines() if line.startswith("--- ")]
    assert changed == [f"--- a{tmp_path / f'{number:02}.py'}" for number in range(1, 60, 2)]
    assert f"\r[{'#' * 30}] 60 of 60 files\n" in err.getvalue()
    assert "30 files to rewrite, 0 places marked for a hand, 29 without legacy names" in err.getvalue()
