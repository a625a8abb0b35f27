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
TRAINED = ("v2_dcn_two_targets", "v2_dlrm", "v2_lists")
"""Programs that Lightning trains."""
LOOPS = ("v2_custom_output", "v2_own_loop")
"""Programs that go through the model by themselves."""
WHOLE = (*TRAINED, *LOOPS)
RENAMED = {"binary_auroc": "auc", "mean_squared_error": "mse", "mean_absolute_error": "mae"}
SHORTER = (("max_epochs=20", "max_epochs=3"), ("max_epochs=12", "max_epochs=3"), ("range(250)", "range(20)"))


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


def _caught_in_loop(
    program: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, dict[str, Any], Any]:
    """The model, columns and labels of a program's first step."""
    from merlin.models.torch.models import base

    found: list[Any] = []

    def step(model: Any, rows: Any, *_: Any) -> None:
        found.extend((model, rows))
        raise _Stop

    def compute_loss(*_: Any) -> None:
        raise _Stop

    monkeypatch.setattr(mm, "Step", step)
    monkeypatch.setattr(base, "compute_loss", compute_loss)
    monkeypatch.setattr(sys, "argv", [str(program), "--output-dir", str(folder)])
    with pytest.raises(_Stop) as stopped:
        runpy.run_path(str(program), run_name="__main__")
    monkeypatch.undo()
    if not found:
        names = next(entry.frame.f_globals for entry in stopped.traceback if "model" in entry.frame.f_globals)
        found = [names["model"], names.get("batch") or (names["columns"], names["targets"])]
    model, rows = found
    columns, labels = (rows.features, rows.targets) if hasattr(rows, "features") else rows
    return model, dict(columns), labels


def _rewritten(name: str, folder: Path) -> Path:
    result = rewrite_source((PROGRAMS / f"{name}.py").read_bytes())
    assert result.marks == ()
    path = folder / f"{name}.py"
    path.write_bytes(result.after)
    return path


def _parts(module: torch.nn.Module) -> tuple[dict[tuple[int, ...], Any], list[Any]]:
    """Weights of tables by their shapes, which differ, and those of layers in order."""
    of_tables = {
        id(p): p for m in module.modules() if isinstance(m, torch.nn.Embedding) for p in m.parameters()
    }
    layers = [p for p in module.parameters() if id(p) not in of_tables]
    return {tuple(p.shape): p for p in of_tables.values()}, layers


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.filterwarnings("ignore::deprecation.DeprecatedWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore:Importing .* was deprecated:FutureWarning")
def test_loss_gradients_metrics_and_answers_are_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from merlin.models.torch.batch import Batch
    from merlin.models.torch.models.base import compute_loss

    if name in LOOPS:
        old, features, labels = _caught_in_loop(PROGRAMS / f"{name}.py", tmp_path, monkeypatch)
        ours, *_ = _caught_in_loop(_rewritten(name, tmp_path), tmp_path, monkeypatch)
        labels = labels if isinstance(labels, dict) else {ours.output.target: labels}
        rows = mm.Batch(features, labels)
    else:
        old, _ = _caught(PROGRAMS / f"{name}.py", pytorch_lightning, tmp_path, monkeypatch)
        ours, loader = _caught(_rewritten(name, tmp_path), lightning.pytorch, tmp_path, monkeypatch)
        rows = next(iter(loader))
        features, labels = _as_before(rows), dict(rows.targets)
    batch = Batch(features, labels)
    old.initialize(batch)
    pairs = _shared(old, ours)
    for model in (old, ours):
        model.eval()
    predicted = old(features, batch=batch)
    expected = compute_loss(predicted, labels, old.model_outputs())
    step = mm.Step(ours, rows)
    results = step.results
    torch.testing.assert_close(results["loss"], expected["loss"], atol=1e-5, rtol=0)
    answers = ours.output.predictions(step.hidden, step.planned)
    given = predicted if isinstance(predicted, dict) else {next(iter(labels)): predicted}
    for target, tensor in given.items():
        torch.testing.assert_close(answers[f"{target}_score"], tensor.reshape(-1), atol=1e-5, rtol=0)
    for key in set(expected) - {"loss"}:
        new = RENAMED.get(key, key.removeprefix("binary_"))
        (value,) = [
            results[name] for name in results if name.partition("_")[2] == new or name.endswith(f"_{new}")
        ]
        assert float(value) == pytest.approx(float(expected[key]), abs=1e-5), key
    assert len(expected) > 2
    expected["loss"].backward()
    results["loss"].backward()
    assert max(float(p.grad.abs().max()) for p, _ in pairs if p.grad is not None) > 1e-4
    for source, goal in pairs:
        torch.testing.assert_close(goal.grad, source.grad, atol=1e-5, rtol=0)


def _as_before(rows: mm.Batch) -> dict[str, Any]:
    """Columns as the old loader gave them, lists by values and offsets."""
    found: dict[str, Any] = {}
    for name, column in rows.features.items():
        if isinstance(column, torch.Tensor):
            found[name] = column
        else:
            found[f"{name}__values"], found[f"{name}__offsets"] = column.values, column.offsets
    return found


def _shared(old: Any, ours: mm.Model) -> list[tuple[Any, Any]]:
    """Weights of both models that belong together, the same from now on."""
    from_tables, from_layers = _parts(old)
    to_tables, to_layers = _parts(ours)
    assert from_tables.keys() == to_tables.keys()
    torch.manual_seed(0)
    with torch.no_grad():
        for shape, table in to_tables.items():
            table.copy_(torch.randn(shape) * 0.3)
            from_tables[shape].copy_(table)
        layers = _copy(old, ours, from_layers, to_layers)
    return [*((from_tables[shape], table) for shape, table in to_tables.items()), *layers]


def _copy(old: Any, ours: mm.Model, from_layers: list[Any], to_layers: list[Any]) -> list[tuple[Any, Any]]:
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
    return pairs


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_program_runs_without_old_names(name: str, tmp_path: Path) -> None:
    path = _rewritten(name, tmp_path)
    assert not rewrite_source(path.read_bytes()).changed
    text = path.read_text()
    for long, short in SHORTER:
        text = text.replace(long, short)
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
    assert 0 < found["test_loss" if name == "v2_lists" else "val_loss"] < 1
    if name in ("v2_dlrm", "v2_dcn_two_targets"):
        assert 0.4 < found["val_click_auc"] <= 1
