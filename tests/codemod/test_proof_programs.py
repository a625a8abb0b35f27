"""Programs for the drop-in, rewritten: the same numbers from the same weights, and they run without it."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import warnings
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning
import pytest
import torch
import transformers4rec.torch as tr
from deprecation import DeprecatedWarning
from merlin_migrate.checkpoint import convert_state
from merlin_migrate.codemod import rewrite_source
from torch import nn

import merlin_models_torch as mm
from tests.codemod.test_proof import BLOCKED
from tests.equivalence.make_data import Sessions, write_windows

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "compat" / "programs"
WHOLE = {"readme": 1, "side_information": 2, "search": 3}
"""Programs that are rewritten without a mark, and how many models each makes."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_windows(
        tmp_path_factory.mktemp("data"), Sessions(items=60, categories=6, longest=24), train=96, valid=40
    )
    if not (folder / "2").exists():
        (folder / "2").symlink_to(folder / "1")
    return folder


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rewritten")
    for name in WHOLE:
        (folder / f"{name}.py").write_bytes(rewrite_source((PROGRAMS / f"{name}.py").read_bytes()).after)
    (folder / "start.py").write_text(
        BLOCKED.replace('["rewritten.py", *sys.argv[1:]]', "sys.argv[1:]").replace(
            'run_path("rewritten.py"', "run_path(sys.argv[0]"
        )
    )
    return folder


class _OldTrainer:
    """Takes the place of the drop-in's trainer and keeps the models that it is given."""

    models: list[Any]

    def __init__(self, *, model: Any, **_: Any) -> None:
        type(self).models.append(model)

    def train(self) -> None:
        """Does nothing."""

    def evaluate(self, **_: Any) -> dict[str, float]:
        return defaultdict(float, {"eval_/next-item/ndcg_at_10": 0.0})

    def reset_lr_scheduler(self) -> None:
        """Does nothing."""


class _NewTrainer:
    """The same in the place of Lightning's."""

    models: list[Any]
    folder: Path

    def __init__(self, **_: Any) -> None:
        path = self.folder / f"{len(self.models)}.ckpt"
        self.checkpoint_callback = SimpleNamespace(best_model_path=path)

    def fit(self, model: mm.Model, *_: Any) -> None:
        self.models.append(model)
        torch.save({"state_dict": model.state_dict()}, self.checkpoint_callback.best_model_path)

    def validate(self, *_: Any, **__: Any) -> list[dict[str, float]]:
        return [defaultdict(float, {"val_ndcg_at_10": 0.0})]


def _models(
    program: Path, trainer: Any, data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Any]:
    trainer.models = []
    trainer.folder = folder
    monkeypatch.setattr(tr, "Trainer", trainer)
    monkeypatch.setattr(lightning, "Trainer", trainer)
    arguments = ["--data-dir", str(data), "--output-dir", str(folder), "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", [str(program), *arguments])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecatedWarning)
        warnings.simplefilter("ignore", UserWarning)
        runpy.run_path(str(program), run_name="__main__")
    return list(trainer.models)


@pytest.mark.parametrize("name", WHOLE)
def test_nothing_is_marked_and_a_second_run_changes_nothing(name: str) -> None:
    result = rewrite_source((PROGRAMS / f"{name}.py").read_bytes())
    assert result.marks == ()
    assert not re.search(rb"transformers4rec|merlin\.(schema|io)|\btr\.", result.after)
    assert not rewrite_source(result.after).changed


@pytest.mark.parametrize("name", WHOLE)
def test_loss_and_answers_are_the_same(
    name: str, data: Path, rewritten: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = _models(PROGRAMS / f"{name}.py", _OldTrainer, data, tmp_path, monkeypatch)
    new = _models(rewritten / f"{name}.py", _NewTrainer, data, tmp_path, monkeypatch)
    assert len(old) == len(new) == WHOLE[name]
    for model, ours in zip(old, new, strict=True):
        _compare(model, ours, data)


def _compare(model: Any, ours: mm.Model, data: Path) -> None:
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    ours.load_state_dict(convert_state(model.state_dict(), ours), strict=False)
    path = data / "1" / "valid.parquet"
    batch = next(
        iter(mm.ParquetLoader(path, ours.schema, batch_size=40, max_sequence_length=20, keep="oldest"))
    )
    padded = {name: batch.padded(name, 20) for name in batch.features}
    model.eval()
    ours.eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecatedWarning)
        expected = model(dict(padded), training=False, testing=True)
        answers = model(dict(padded), training=False, testing=False).topk(20)
        planned = ours.inputs.for_evaluation(batch)
        hidden = ours.body(planned)
        torch.testing.assert_close(ours.output.loss(hidden, planned), expected["loss"], atol=1e-5, rtol=0)
        assert torch.equal(ours.output.targets(planned), expected["labels"])
        best = expected["predictions"].topk(20)
        scores, items = ours.output.topk(hidden, planned, k=20)
        torch.testing.assert_close(scores, best.values, atol=1e-5, rtol=0)
        assert torch.equal(items, best.indices)
        scores, items = ours.topk(batch, k=20)
        torch.testing.assert_close(scores, answers.values, atol=1e-5, rtol=0)
        assert torch.equal(items, answers.indices)


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_program_runs(name: str, data: Path, rewritten: Path, tmp_path: Path) -> None:
    options = ["--data-dir", str(data), "--output-dir", str(tmp_path), "--epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "start.py", f"{name}.py", *options],
        cwd=rewritten,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "metrics.json").stat().st_size > 20
