"""Programs for merlin.models.torch V2, rewritten: they run without old names, and give the old loss."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch
import pytest
import pytorch_lightning
import torch
from merlin_migrate.codemod import rewrite_source

import merlin_models_torch as mm
from tests.codemod.test_proof import BLOCKED

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "compat" / "programs_merlin"
WHOLE = ("v2_dcn_two_targets", "v2_dlrm")


class _Stop(Exception):
    """Ends a program where its training would begin."""


def _caught(program: Path, package: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """The model and the training data of a program."""
    found: list[Any] = []

    def fit(self: Any, model: Any, data: Any, *_: Any) -> None:
        found.extend((model, data))
        raise _Stop

    monkeypatch.setattr(package.Trainer, "fit", fit)
    monkeypatch.setattr(sys, "argv", [str(program), "--output-dir", str(folder)])
    with pytest.raises(_Stop):
        runpy.run_path(str(program), run_name="__main__")
    return found[0], found[1]


def _rewritten(name: str, folder: Path) -> Path:
    result = rewrite_source((PROGRAMS / f"{name}.py").read_bytes())
    assert result.marks == ()
    path = folder / f"{name}.py"
    path.write_bytes(result.after)
    return path


def _parts(module: torch.nn.Module, tables: type) -> tuple[dict[tuple[int, ...], Any], list[Any]]:
    """Weights of tables by their shapes, which differ, and those of layers in order."""
    of_tables = {id(p): p for m in module.modules() if isinstance(m, tables) for p in m.parameters()}
    layers = [p for p in module.parameters() if id(p) not in of_tables]
    return {tuple(p.shape): p for p in of_tables.values()}, layers


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.filterwarnings("ignore::deprecation.DeprecatedWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore:Importing .* was deprecated:FutureWarning")
def test_loss_and_answers_are_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from merlin.models.torch.batch import Batch
    from merlin.models.torch.models.base import compute_loss

    old, _ = _caught(PROGRAMS / f"{name}.py", pytorch_lightning, tmp_path, monkeypatch)
    ours, loader = _caught(_rewritten(name, tmp_path), lightning.pytorch, tmp_path, monkeypatch)
    batch = next(iter(loader))
    features = {column: batch[column] for column in batch.features}
    old.initialize(Batch(features, batch.targets))
    from_tables, from_layers = _parts(old, mm.EmbeddingTable)
    to_tables, to_layers = _parts(ours, mm.EmbeddingTable)
    assert len(from_tables) == len(to_tables) == 2
    torch.manual_seed(0)
    with torch.no_grad():
        for shape, table in to_tables.items():
            table.copy_(torch.randn(shape) * 0.3)
            from_tables[shape].copy_(table)
        _copy(old, ours, from_layers, to_layers)
    old.eval()
    ours.eval()
    predicted = old(features, batch=Batch(features, batch.targets))
    results = compute_loss(predicted, batch.targets, old.model_outputs())
    loss = ours.output.loss(ours.body(batch), batch)
    torch.testing.assert_close(loss, results["loss"], atol=1e-5, rtol=0)
    answers = ours.output.predictions(ours.body(batch), batch)
    given = predicted if isinstance(predicted, dict) else {"click": predicted}
    for target, tensor in given.items():
        torch.testing.assert_close(answers[f"{target}_score"], tensor.reshape(-1), atol=1e-5, rtol=0)


def _copy(old: Any, ours: mm.Model, from_layers: list[Any], to_layers: list[Any]) -> None:
    """Layers in order; those of outputs by their targets."""
    outputs = {output.output_schema.first.name: output for output in old.model_outputs()}
    block = ours.output
    own = dict(block.outputs) if isinstance(block, mm.TabularOutputBlock) else {block.target: block}
    last = {id(p) for output in [*outputs.values(), *own.values()] for p in output.parameters()}
    pairs = list(
        zip(
            [p for p in from_layers if id(p) not in last],
            [p for p in to_layers if id(p) not in last],
            strict=True,
        )
    )
    for target, output in own.items():
        pairs += zip(outputs[target].parameters(), output.parameters(), strict=True)
    for source, goal in pairs:
        assert source.shape == goal.shape
        goal.copy_(torch.randn_like(goal) * 0.3)
        source.copy_(goal)


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_program_runs_without_old_names(name: str, tmp_path: Path) -> None:
    path = _rewritten(name, tmp_path)
    assert not rewrite_source(path.read_bytes()).changed
    text = path.read_text()
    for epochs in ("max_epochs=20", "max_epochs=12"):
        text = text.replace(epochs, "max_epochs=3")
    (tmp_path / "rewritten.py").write_text(text)
    (tmp_path / "start.py").write_text(BLOCKED)
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "start.py", "--output-dir", "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert 0 < found["val_loss"] < 1
    assert 0.4 < found["val_click_auc"] <= 1
