"""Notebooks: code cells are one program, all else stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from merlin_migrate.cli import main
from merlin_migrate.codemod import rewrite_notebook


def _notebook(*cells: str, **layout: Any) -> bytes:
    made: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "execution_count": number,
            "metadata": {"tags": ["keep"]},
            "outputs": [{"name": "stdout", "output_type": "stream", "text": ["import transformers4rec\n"]}],
            "source": text.splitlines(keepends=True),
        }
        for number, text in enumerate(cells, 1)
    ]
    made.insert(0, {"cell_type": "markdown", "metadata": {}, "source": ["# `import transformers4rec` é\n"]})
    book = {"cells": made, "metadata": {"kernelspec": {"name": "x"}}, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(book, **{"indent": 1, "ensure_ascii": False, **layout}) + "\n").encode()


OLD = (
    "%pip install transformers4rec \\\n    --quiet\nfrom transformers4rec import torch as tr",
    "config = tr.XLNetConfig.build(64, 4, 2, 20)\nif True:\n    !ls {config}\n# end of the cell",
    "%%bash\necho transformer",
    "body = tr.SequentialBlock(inputs, tr.TransformerBlock(config))\nbody",
)
NEW = (
    "%pip install transformers4rec \\\n    --quiet\nimport merlin_models_torch as mm",
    "config = mm.XLNetBlock(\n    64,\n    heads=4,\n    layers=2,\n    dropout=0.3,\n"
    "    layer_norm_eps=0.03,\n    initializer_range=0.01,\n)\nif True:\n    !ls {config}\n# end of the cell",
    "%%bash\necho transformer",
    "body = mm.Block(inputs, config)\nbody",
)


@pytest.mark.parametrize("layout", [{}, {"indent": 4}, {"indent": None}, {"ensure_ascii": True}])
def test_names_are_followed_from_cell_to_cell_and_everything_else_stays(layout: dict[str, Any]) -> None:
    result = rewrite_notebook(_notebook(*OLD, **layout))
    assert result.after.decode() == _notebook(*NEW, **layout).decode()
    assert result.marks == ()
    again = rewrite_notebook(result.after)
    assert not again.changed


def test_marks_name_their_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.ipynb"
    file.write_bytes(
        _notebook("import transformers4rec.torch as tr", "x = 1\nnoise = tr.StochasticSwapNoise(0.1)")
    )
    for _ in range(2):
        assert main(["rewrite", "--write", str(file)]) == 1
        assert f"{file}:cell 3:2: MM108 transformers4rec.torch.StochasticSwapNoise" in capsys.readouterr().err
    assert json.loads(file.read_text())["cells"][2]["source"][1].startswith("# merlin-migrate: MM108")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"nbformat": 3, "worksheets": ["transformers4rec"]}', "it is no notebook of format 4"),
        (b"transformers4rec", "it is no notebook of format 4"),
        (_notebook("import transformers4rec\nprint 'old'"), "cell 2 uses legacy names and is no Python"),
    ],
)
def test_what_cannot_be_read_is_reported_and_left(
    content: bytes, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.ipynb"
    file.write_bytes(content)
    assert main(["rewrite", "--write", str(file)]) == 2
    assert file.read_bytes() == content
    assert reason in capsys.readouterr().err
