"""Programs for V1 of merlin.models.torch, rewritten: the same numbers from the same weights."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch
import pytest
import pytorch_lightning
import torch
from merlin_migrate.checkpoint import convert_state
from merlin_migrate.codemod import rewrite_source
from torch import nn

import merlin_models_torch as mm
from tests.codemod.test_proof import BLOCKED

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "compat" / "programs_merlin"
NAMES = ("v1_click", "v1_lightning", "v1_modules", "v1_soft", "v1_two_tasks")
SHORTER = (("range(200)", "range(9)"), ("range(150)", "range(9)"), ("range(120)", "range(9)"))
# It prints the key of a task, which is another one now.
MARKED = {
    "v1_click": [
        "the keys are the targets' names now: click, where they were click/binary_classification_task"
    ]
}
LEGACY = re.compile(
    r"merlin\.(models|schema|io|dataloader)|transformers4rec|merlin_standard_lib|SequentialBlock"
)
pytestmark = [
    pytest.mark.filterwarnings("ignore::deprecation.DeprecatedWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore:Importing .* was deprecated:FutureWarning"),
]


class _Stop(Exception):
    """Ends a program where its training would begin."""


def _rewritten(name: str, folder: Path) -> Path:
    result = rewrite_source((PROGRAMS / f"{name}.py").read_bytes())
    assert [mark.reason for mark in result.marks] == MARKED.get(name, [])
    path = folder / f"{name}.py"
    path.write_bytes(result.after)
    return path


def _caught(program: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Any, Any, Any]:
    """The model of a program, and the columns and labels that it begins its training with."""
    from merlin.models.torch.model.base import Model

    found: list[Any] = []

    def of_model(model: Any, data: Any, *rest: Any, **_: Any) -> None:
        found.extend((model, data[0] if isinstance(data, list) else (data, *rest)))
        raise _Stop

    def of_trainer(_: Any, model: Any, data: Any) -> None:
        found.extend((getattr(model, "parent", model), next(iter(data))))
        raise _Stop

    monkeypatch.setattr(Model, "fit", of_model)
    monkeypatch.setattr(Model, "compute_loss", of_model)
    monkeypatch.setattr(mm, "Step", lambda model, pair, mode: of_model(model, *pair))
    monkeypatch.setattr(lightning.pytorch.Trainer, "fit", of_trainer)
    monkeypatch.setattr(pytorch_lightning.Trainer, "fit", of_trainer)
    monkeypatch.setattr(sys, "argv", [str(program), "--output-dir", str(folder)])
    with monkeypatch.context(), pytest.raises(_Stop):
        runpy.run_path(str(program), run_name="__main__")
    monkeypatch.undo()
    return found[0], *found[1]


def _pair(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, mm.Model, Any, Any]:
    """The program's model on the drop-in and rewritten, with the same weights, and rows."""
    old, columns, labels = _caught(PROGRAMS / f"{name}.py", monkeypatch, folder)
    ours, same, _ = _caught(_rewritten(name, folder), monkeypatch, folder)
    assert {name: x.shape for name, x in columns.items()} == {name: x.shape for name, x in same.items()}
    torch.manual_seed(0)
    for parameter in old.parameters():
        nn.init.normal_(parameter, std=0.3)
    for module in old.modules():
        # Row 0 is padding here, and no id of these programs.
        if isinstance(module, nn.EmbeddingBag):
            module.weight.data[0] = 0
    ours.load_state_dict(convert_state(old.state_dict(), ours), strict=False)
    for module in (*old.modules(), *ours.modules()):
        if type(module).__name__ == "Dropout":
            module.p = 0.0
    return old, ours, columns, labels


@pytest.mark.parametrize("name", NAMES)
def test_answers_loss_and_metrics_are_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, ours, columns, labels = _pair(name, tmp_path, monkeypatch)
    old.eval()
    ours.eval()
    step = mm.Step(ours, (columns, labels), "evaluate")
    with torch.no_grad():
        expected = old.compute_loss(columns, labels, compute_metrics=False)
        torch.testing.assert_close(step.loss, expected, atol=1e-6, rtol=0)
        answers = ours.output.predictions(step.hidden, step.planned)
        given = old(columns)
    by_task = given if isinstance(given, dict) else {next(iter(old.heads[0].prediction_task_dict)): given}
    for task, tensor in by_task.items():
        torch.testing.assert_close(
            answers[f"{task.partition('/')[0]}_score"], tensor.reshape(-1), atol=1e-6, rtol=0
        )
    measured = old.evaluate([(columns, labels)], verbose=False)
    flat = {k: v for part in measured.values() for k, v in part.items()} if len(by_task) > 1 else measured
    evaluation = ours.evaluations["val"]
    step.update(evaluation)
    found = evaluation.metrics.compute()
    renamed = {"mean_squared_error": "mse", "binary_accuracy": "accuracy"}
    compared = 0
    for key, value in flat.items():
        target, _, metric = key.split("/")
        new = found[f"{target}_{renamed.get(metric, metric.removeprefix('binary_'))}"]
        assert float(new) == pytest.approx(float(value), abs=1e-6), key
        compared += 1
    assert compared >= 1


@pytest.mark.parametrize("name", NAMES)
def test_training_steps_have_the_same_losses_and_gradients(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, ours, columns, labels = _pair(name, tmp_path, monkeypatch)
    old.train()
    ours.train()
    optimizers = [torch.optim.Adam(model.parameters(), lr=0.01) for model in (old, ours)]
    for step in range(10):
        expected = old.compute_loss(columns, labels)
        loss = mm.Step(ours, (columns, labels), "train").loss
        torch.testing.assert_close(loss, expected, atol=1e-5, rtol=0)
        for optimizer, value in zip(optimizers, (expected, loss), strict=True):
            optimizer.zero_grad()
            value.backward()
        if step == 0:
            gradients = {
                n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in old.named_parameters()
            }
            renamed = convert_state(gradients, ours)
            assert max(float(value.abs().max()) for value in renamed.values()) > 1e-3
            for weight, parameter in ours.named_parameters():
                torch.testing.assert_close(parameter.grad, renamed[weight], atol=1e-5, rtol=0, msg=weight)
        for optimizer in optimizers:
            optimizer.step()


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_program_runs_without_old_names(name: str, tmp_path: Path) -> None:
    path = _rewritten(name, tmp_path)
    assert not rewrite_source(path.read_bytes()).changed
    text = path.read_text()
    assert not LEGACY.search(text)
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
    assert 0 < found["loss"] < found.get("first_loss", 1)
