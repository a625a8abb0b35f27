"""The command line: what it says, what it writes, its exit codes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import merlin_migrate
import pytest
from merlin_migrate.cli import main

OLD = "from transformers4rec import torch as tr\n\nblock = tr.MLPBlock([64])\n"
NEW = "import merlin_models_torch as mm\n\nblock = mm.MLPBlock([64])\n"
MARKED = "from transformers4rec import torch as tr\n\nnoise = tr.StochasticSwapNoise(0.1)\n"


def test_shows_the_difference_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.py"
    file.write_text(OLD)
    assert main(["rewrite", str(file)]) == 1
    assert file.read_text() == OLD
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"--- a{file}",
        f"+++ b{file}",
        "@@ -1,3 +1,3 @@",
        "-from transformers4rec import torch as tr",
        "+import merlin_models_torch as mm",
        " ",
        "-block = tr.MLPBlock([64])",
        "+block = mm.MLPBlock([64])",
    ]
    assert err.splitlines() == [
        "1 file to rewrite, 0 places marked for a hand, 0 without legacy names, 0 skipped, 0 failed",
        "  MM103 body: 1",
        "  MM109 imports: 1",
        "nothing is written yet: run again with --write",
    ]


def test_colour_is_for_terminals_or_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.py"
    file.write_text(OLD)
    main(["rewrite", str(file), "--color", "always"])
    out = capsys.readouterr().out
    assert "\033[32m+block = mm.MLPBlock([64])\033[0m" in out
    assert "\033[31m-block = tr.MLPBlock([64])\033[0m" in out
    main(["rewrite", str(file)])
    assert "\033" not in capsys.readouterr().out


def test_writes_a_folder_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".venv" / "lib").mkdir(parents=True)
    for name in ("a.py", "sub/b.py", ".venv/lib/c.py"):
        (tmp_path / name).write_text(OLD)
    (tmp_path / "other.py").write_text("x = 1\n")
    assert main(["rewrite", "--write", str(tmp_path), str(tmp_path / "a.py")]) == 0
    assert (tmp_path / "a.py").read_text() == NEW
    assert (tmp_path / "sub" / "b.py").read_text() == NEW
    assert (tmp_path / ".venv" / "lib" / "c.py").read_text() == OLD
    assert "2 files rewritten, 0 places marked for a hand, 1 without legacy" in capsys.readouterr().err
    assert main(["rewrite", "--write", str(tmp_path)]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [".venv", "a.py", "other.py", "sub"]


def test_marks_are_listed_until_they_are_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.py"
    file.write_text(MARKED)
    for _ in range(2):
        assert main(["rewrite", "--write", str(file)]) == 1
        assert (
            f"{file}:3: MM108 transformers4rec.torch.StochasticSwapNoise: The drop-in runs it, the new "
            "API has no successor yet. (migration_guides/from-transformers4rec.md#not-yet)"
        ) in capsys.readouterr().err
    assert file.read_text().count("# merlin-migrate:") == 1


def test_a_file_that_does_not_parse_fails_and_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, good = tmp_path / "bad.py", tmp_path / "good.py"
    bad.write_text("import transformers4rec\nprint 'python 2'\n")
    good.write_text(OLD)
    assert main(["rewrite", "--write", str(tmp_path)]) == 2
    assert bad.read_text() == "import transformers4rec\nprint 'python 2'\n"
    assert good.read_text() == NEW
    assert f"{bad}: failed, not rewritten, it does not parse" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["rewrite", "--check"], ["rewrite"], ["rewrite", "--write"], ["report"]])
def test_a_run_over_no_file_at_all_fails(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text(OLD)
    assert main([*command, "--exclude", "a*", "--exclude", "b.py", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"merlin-migrate: there is no .py or .ipynb file in {tmp_path} but what --exclude a* b.py leaves "
        "out: give other paths or patterns\n"
    )
    (tmp_path / "empty").mkdir()
    assert main([*command, str(tmp_path / "empty")]) == 2
    assert "empty: give other paths or patterns" in capsys.readouterr().err
    assert (tmp_path / "a.py").read_text() == OLD


def test_a_layout_that_would_not_stay_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "feeds.py"
    file.write_bytes(OLD.encode() + b"\x0c\n\x0c")
    assert main(["rewrite", "--write", str(file)]) == 2
    assert file.read_bytes() == OLD.encode() + b"\x0c\n\x0c"
    assert f"{file}: failed, not rewritten, its layout cannot be kept" in capsys.readouterr().err


def test_a_rule_that_fails_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from merlin_migrate.codemod.rules.mm103_body import BodyRule

    def fails(self: object, tree: object) -> None:
        raise KeyError("odd")

    monkeypatch.setattr(BodyRule, "apply", fails)
    (tmp_path / "a.py").write_text(OLD)
    (tmp_path / "b.py").write_text("x = 1\n")
    assert main(["rewrite", "--write", str(tmp_path)]) == 2
    assert (tmp_path / "a.py").read_text() == OLD
    err = capsys.readouterr().err
    assert "a.py: failed, not rewritten, rule MM103 fails on it: KeyError('odd')" in err
    assert "1 failed" in err


def test_other_files_are_skipped_and_missing_ones_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "a.txt"
    other.write_text("import transformers4rec")
    assert main(["rewrite", str(other)]) == 0
    assert f"{other}: skipped, only .py and .ipynb files are rewritten" in capsys.readouterr().err
    assert main(["rewrite", str(tmp_path / "no.py")]) == 2
    assert "no.py does not exist: give files or folders" in capsys.readouterr().err


def test_bytes_that_are_not_touched_stay(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    before = (
        "# -*- coding: latin-1 -*-\r\n"
        "from transformers4rec import torch as tr\r\n"
        "name = 'caf\xe9'   # odd   spaces\r\n"
        "block = tr.MLPBlock([64])\r\n"
    ).encode("latin-1")
    file.write_bytes(before)
    file.chmod(0o750)
    assert main(["rewrite", "--write", str(file)]) == 0
    assert file.read_bytes() == before.replace(
        b"from transformers4rec import torch as tr", b"import merlin_models_torch as mm"
    ).replace(b"tr.MLPBlock", b"mm.MLPBlock")
    assert stat.S_IMODE(file.stat().st_mode) == 0o750


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "a.py"
    target.write_text(OLD)
    link = tmp_path / "link.py"
    link.symlink_to(target)
    assert main(["rewrite", "--write", str(link)]) == 0
    assert link.is_symlink()
    assert target.read_text() == NEW


def test_a_write_that_fails_leaves_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.py"
    file.write_text(OLD)

    def full(source: Path, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert main(["rewrite", "--write", str(file)]) == 2
    assert file.read_text() == OLD
    assert [p.name for p in tmp_path.iterdir()] == ["a.py"]
    assert "no space left on device" in capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_error(tmp_path: Path) -> None:
    for i in range(20):
        (tmp_path / f"{i}.py").write_text(OLD + "# a line\n" * 400 + OLD)
    command = f"{sys.executable} -m merlin_migrate rewrite {tmp_path} | head -1"
    path = str(Path(merlin_migrate.__file__).parents[1])
    environment = {"PYTHONPATH": path, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("--- a/")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_runs_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(OLD)
    done = subprocess.run(
        [sys.executable, "-m", "merlin_migrate", "rewrite", "--write", "a.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(merlin_migrate.__file__).parents[1]), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.py").read_text() == NEW
