"""Programs for the drop-in, rewritten: the same numbers from the same weights, and they run without it."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import warnings
from collections import defaultdict
from dataclasses import replace
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
from torch import Tensor, nn

import merlin_models_torch as mm
from merlin_models_torch.masking import MaskPlan
from tests.codemod.test_proof import BLOCKED
from tests.equivalence.make_data import Sessions, write_windows

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "compat" / "programs"
WHOLE = {
    "getting_started": 1,
    "readme": 1,
    "side_information": 2,
    "search": 3,
    "pretrained": 1,
    "classification": 1,
    "manual_blocks": 1,
    "batch_inference": 1,
    "own_masking": 1,
    "own_trainer": 1,
}
"""Programs, which are rewritten without a mark, and how many models each trains."""
MAKERS = {"manual_blocks": "make_model", "batch_inference": "build"}
"""Functions that make the model where a program trains it by itself, or reads what the trainer wrote."""
OWN = ("focal", "stopping", "annealed")
"""Programs with trainers of their own, which ``test_own_trainers`` compares."""
START = (
    BLOCKED.partition("import runpy\n")[0]
    + """\
import runpy, traceback
from pathlib import Path
data, folder, *names = sys.argv[1:]
for name in names:
    out = Path(folder, name)
    out.mkdir()
    # One waits for five steps to be logged.
    epochs = "2" if name == "own_trainer" else "1"
    sys.argv = [name + ".py", "--data-dir", data, "--output-dir", str(out), "--epochs", epochs]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except Exception:
        (out / "failed.txt").write_text(traceback.format_exc())
"""
)
RENAMED = {"avg_precision": "map", "mean_reciprocal_rank": "mrr"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sessions = Sessions(items=60, categories=6, longest=24, labels=True)
    folder = write_windows(tmp_path_factory.mktemp("data"), sessions, train=96, valid=40)
    if not (folder / "2").exists():
        (folder / "2").symlink_to(folder / "1")
    return folder


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rewritten")
    for name in WHOLE:
        (folder / f"{name}.py").write_bytes(rewrite_source((PROGRAMS / f"{name}.py").read_bytes()).after)
    for name in OWN:
        shutil.copy(Path(__file__).parent / "own_trainers" / "after" / f"{name}.py", folder)
    (folder / "start.py").write_text(START)
    return folder


class _OldTrainer:
    """Takes the place of the drop-in's trainer and keeps the models that it is given."""

    models: list[Any]

    def __init__(self, *, model: Any, callbacks: Any = (), **_: Any) -> None:
        self.models.append(model)
        self.state = SimpleNamespace(global_step=0)
        _log(callbacks)

    def train(self) -> None:
        """Does nothing."""

    def evaluate(self, **_: Any) -> dict[str, float]:
        return defaultdict(float, {"eval_/next-item/ndcg_at_10": 0.0})

    def predict(self, *_: Any) -> Any:
        return SimpleNamespace(predictions=([], None))

    def reset_lr_scheduler(self) -> None:
        """Does nothing."""


def _log(callbacks: Any) -> None:
    """A loss for those that wait for one."""
    for callback in callbacks:
        if hasattr(callback, "losses"):
            callback.losses.append(0.0)


def _keep(model: Any, *_: Any, **__: Any) -> None:
    """Takes the place of a model's own training."""
    _OldTrainer.models.append(model)


class _NewTrainer:
    """The same in the place of Lightning's."""

    models: list[Any]
    folder: Path

    def __init__(self, *, callbacks: Any = (), **_: Any) -> None:
        _log(callbacks)
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
    monkeypatch.setattr(tr.Model, "fit", _keep)
    monkeypatch.setattr(tr.Model, "evaluate", lambda *_, **__: {})
    monkeypatch.setattr(lightning, "Trainer", trainer)
    arguments = ["--data-dir", str(data), "--output-dir", str(folder), "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", [str(program), *arguments])
    maker = MAKERS.get(program.stem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecatedWarning)
        warnings.simplefilter("ignore", UserWarning)
        names = runpy.run_path(str(program), run_name="__main__" if maker is None else "made")
        if maker is not None:
            trainer.models.append(names[maker](_schema(program.stem, trainer, data)))
    return list({id(model): model for model in trainer.models}.values())


def _schema(name: str, trainer: Any, data: Path) -> Any:
    columns = ["item_id", "category", "price"] + (["age_days"] if name == "manual_blocks" else [])
    schema = mm.Schema.load(data / "1" / "train.parquet").select_by_name(columns)
    if trainer is _NewTrainer:
        return schema
    from merlin.io import Dataset

    return Dataset(str(data / "1" / "train.parquet")).schema.select_by_name(columns)


@pytest.mark.parametrize("name", WHOLE)
def test_nothing_is_marked_and_a_second_run_changes_nothing(name: str) -> None:
    result = rewrite_source((PROGRAMS / f"{name}.py").read_bytes())
    assert result.marks == ()
    assert not re.search(rb"transformers4rec|merlin\.(schema|io)|\btr\.", result.after)
    assert not rewrite_source(result.after).changed


@pytest.fixture(scope="module", params=list(WHOLE))
def pairs(
    request: pytest.FixtureRequest, data: Path, rewritten: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Any, mm.Model, mm.Batch]]:
    """The models of a program on the drop-in and of the rewritten one, with the same weights, and a batch."""
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    with pytest.MonkeyPatch.context() as patched:
        old = _models(PROGRAMS / f"{name}.py", _OldTrainer, data, folder, patched)
        new = _models(rewritten / f"{name}.py", _NewTrainer, data, folder, patched)
    assert len(old) == len(new) == WHOLE[name]
    made = []
    for model, ours in zip(old, new, strict=True):
        torch.manual_seed(0)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.1)
        ours.load_state_dict(convert_state(model.state_dict(), ours), strict=False)
        for module in (*model.modules(), *ours.modules()):
            if type(module).__name__ == "Dropout":
                module.p = 0.0
        labels = mm.Schema.load(data).select_by_tag(mm.Tags.TARGET)
        schema = ours.schema if ours.output.needs_plan else ours.schema + labels
        path = data / "1" / "valid.parquet"
        loader = mm.ParquetLoader(path, schema, batch_size=40, max_sequence_length=20, keep="oldest")
        made.append((model, ours, next(iter(loader))))
    return made


def _run_old(model: Any, batch: mm.Batch, **flags: bool) -> Any:
    inputs = {name: batch.padded(name, 20) for name in batch.features}
    targets = dict(batch.targets) or None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecatedWarning)
        warnings.simplefilter("ignore", UserWarning)
        return model(inputs, targets=targets, **flags)


def test_evaluation_has_the_same_loss_targets_answers_and_metrics(pairs: list[Any]) -> None:
    for model, ours, batch in pairs:
        model.eval()
        ours.eval()
        with torch.no_grad():
            expected = _run_old(model, batch, training=False, testing=True)
            step = mm.Step(ours, batch, "evaluate")
            torch.testing.assert_close(step.loss, expected["loss"], atol=1e-5, rtol=0)
            if ours.output.needs_plan:
                _compare_items(ours, step, expected)
            else:
                for name, output in expected["predictions"].items():
                    scores = step.scores[name.partition("/")[0]]
                    given = scores.sigmoid() if "binary" in name else scores
                    torch.testing.assert_close(given, output, atol=1e-5, rtol=0)
            _compare_metrics(model, ours, step, expected)


def _compare_items(ours: mm.Model, step: mm.Step, expected: Any) -> None:
    assert torch.equal(step.targets, expected["labels"])
    best = expected["predictions"].topk(20)
    scores, items = ours.output.topk(step.hidden, step.planned, k=20)
    torch.testing.assert_close(scores, best.values, atol=1e-5, rtol=0)
    assert torch.equal(items, best.indices)


def _compare_metrics(model: Any, ours: mm.Model, step: mm.Step, expected: Any) -> None:
    model.reset_metrics()
    model.calculate_metrics(expected["predictions"], expected["labels"])
    old: dict[str, float] = {}
    for name, value in model.compute_metrics().items():
        inner = value if isinstance(value, dict) else {name: value}
        old.update({key: float(number) for key, number in inner.items()})
    evaluation = ours.evaluations["val"]
    step.update(evaluation)
    new = {name: float(value) for name, value in evaluation.compute().items()}
    measured = 0
    for key, value in old.items():
        found = re.fullmatch(r"next-item/(\w+)_at_(\d+)", key)
        if found:
            name = f"{RENAMED.get(found[1], found[1])}_at_{found[2]}"
        else:
            kind = {"binary_accuracy": "accuracy", "mean_squared_error": "rmse"}[key.rpartition("/")[2]]
            name = f"{key.partition('/')[0]}_{kind}"
        assert new[name] == pytest.approx(value, abs=1e-5), key
        measured += 1
    assert measured >= 1
    assert new["loss"] == pytest.approx(float(expected["loss"]), abs=1e-5)


def test_answers_to_what_comes_next_are_the_same(pairs: list[Any]) -> None:
    for model, ours, batch in pairs:
        model.eval()
        ours.eval()
        with torch.no_grad():
            expected = _run_old(model, batch, training=False, testing=False)
            if ours.output.needs_plan:
                best = expected.topk(20)
                scores, items = ours.topk(batch, k=20)
                torch.testing.assert_close(scores, best.values, atol=1e-5, rtol=0)
                assert torch.equal(items, best.indices)
            else:
                answers = ours.output.predictions(*_through(ours, batch))
                named = expected if isinstance(expected, dict) else {ours.output.target: expected}
                for name, output in named.items():
                    given = answers[f"{name.partition('/')[0]}_score"]
                    torch.testing.assert_close(given, output, atol=1e-5, rtol=0)


def _through(model: mm.Model, batch: mm.Batch) -> tuple[Tensor, mm.Batch]:
    step = mm.Step(model, batch, "predict")
    return step.hidden, step.planned


def test_a_training_step_has_the_same_loss_and_gradients(pairs: list[Any]) -> None:
    for model, ours, batch in pairs:
        model.train()
        ours.train()
        expected = _run_old(model, batch, training=True, testing=False)["loss"]
        step = mm.Step(ours, batch, "train")
        if ours.output.needs_plan:
            step.planned = _same_plan(step.planned, model.heads[0].body[0].masking, ours)
        torch.testing.assert_close(step.loss, expected, atol=1e-5, rtol=0)
        model.zero_grad()
        ours.zero_grad()
        expected.backward()
        step.loss.backward()
        # By the names of the new model: the conversion is that of the weights.
        expected_gradients = convert_state(_gradients(model), ours)
        assert max(float(value.abs().max()) for value in expected_gradients.values()) > 1e-3
        for weight, gradient in _gradients(ours).items():
            torch.testing.assert_close(gradient, expected_gradients[weight], atol=1e-4, rtol=0, msg=weight)


def _gradients(model: nn.Module) -> dict[str, Tensor]:
    found = model.named_parameters(remove_duplicate=False)
    return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in found}


def _same_plan(planned: mm.Batch, masking: Any, ours: mm.Model) -> mm.Batch:
    """The batch with the positions that the other model has masked."""
    plan: Any = planned.plan
    if isinstance(ours.inputs.masking, mm.CausalMasking):
        return planned
    hidden = masking.masked_targets != 0
    pairs = masking.perm_mask <= 0 if isinstance(ours.inputs.masking, mm.PermutedMasking) else None
    changed: MaskPlan = replace(
        plan, replaced=hidden, targeted=hidden, targets=masking.masked_targets, pairs=pairs
    )
    return planned.with_plan(changed)


@pytest.fixture(scope="module")
def ran(data: Path, rewritten: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what each program wrote, run as a user would, in one process without legacy names."""
    folder = tmp_path_factory.mktemp("ran")
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "start.py", str(data), str(folder), *WHOLE, *OWN],
        cwd=rewritten,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", [*WHOLE, *OWN])
def test_the_whole_program_runs(name: str, ran: Path) -> None:
    failed = ran / name / "failed.txt"
    assert not failed.exists(), failed.read_text()
    assert (ran / name / "metrics.json").stat().st_size > 20
