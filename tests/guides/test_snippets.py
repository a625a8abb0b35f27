"""What the pages show but ``test_guides`` cannot run: commands of installations, programs for TensorFlow."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
from merlin_migrate.cli import main
from merlin_migrate.codemod import rewrite_source
from merlin_migrate.options import arguments_of

GUIDES = Path(__file__).parents[2] / "migration_guides"
TENSORFLOW = GUIDES / "from-merlin-models-tensorflow.md"
COMMAND = re.compile(r"^(?:\$ |    (?:- run: )?)(merlin-migrate .*)$", re.MULTILINE)
INDENTED = re.compile(r"(?:^    .*\n|^\n(?=    ))+", re.MULTILINE)
MARKED = (
    {
        ("MM203", "model.compile was Keras"),
        ("MM203", "model.fit was Keras"),
        ("MM203", "model.to_top_k_recommender was Keras"),
    },
    {
        ("MM108", "merlin.models.tf.Encoder"),
        ("MM108", "merlin.models.tf.MLPBlock"),
        ("MM108", "merlin.models.tf.TwoTowerModelV2"),
        ("MM203", "the tower encoder(...) is no Encoder of a schema and an MLPBlock"),
    },
)
"""What is left to a hand of the two programs for TensorFlow."""
OLD = "from transformers4rec import torch as tr\n\nblock = tr.MLPBlock([64])\n"


def _commands() -> list[object]:
    return [
        pytest.param(line.partition(" ||")[0], id=f"{page.name}: {line.partition('#')[0].strip()}")
        for page in sorted(GUIDES.glob("*.md"))
        for line in COMMAND.findall(page.read_text())
    ]


@pytest.mark.parametrize("line", _commands())
def test_arguments_of_every_command_are_known(line: str) -> None:
    command, *words = shlex.split(line, comments=True)
    options, _ = arguments_of(words)
    assert command == "merlin-migrate"
    assert options.command == words[0]


def test_the_commands_of_continuous_integration_say_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line for line in COMMAND.findall((GUIDES / "leaving-compat.md").read_text()) if " src" in line]
    words = [shlex.split(line.partition(" ||")[0])[1:] for line in lines]
    assert [each[0] for each in words] == ["rewrite", "report"]
    monkeypatch.chdir(tmp_path)
    done, open_ = tmp_path / "src" / "done", tmp_path / "src" / "open"
    for folder in (done, open_):
        folder.mkdir(parents=True)
        (folder / "program.py").write_text(OLD)
    assert main(words[0]) == 1
    assert main(["rewrite", "--write", "src/done"]) == 0
    assert main(words[0]) == 0
    assert main(words[1]) == 1
    assert (open_ / "program.py").read_text() == OLD
    assert "transformers4rec.torch.MLPBlock" in capsys.readouterr().out


def _programs() -> list[str]:
    blocks = [re.sub(r"^    ", "", found[0], flags=re.MULTILINE) for found in INDENTED.finditer(_before())]
    return [block for block in blocks if "mm." in block]


def _before() -> str:
    return TENSORFLOW.read_text().partition("\n## A whole program\n")[2].partition("\nAfter:\n")[0]


def test_programs_for_tensorflow_are_python_and_rewriting_leaves_no_old_name_without_a_word() -> None:
    programs = _programs()
    assert len(programs) == 2
    first, second = programs
    second = "import merlin.models.tf as mm\nfrom merlin.schema import Tags\n\n" + second
    for source, marked in ((first, MARKED[0]), (second, MARKED[1])):
        ast.parse(source)
        result = rewrite_source(source.encode())
        ast.parse(result.after)
        assert {(mark.rule, mark.reason.split(":")[0]) for mark in result.marks} == marked
        assert not rewrite_source(result.after).changed
