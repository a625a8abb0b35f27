"""The rewritten getting-started program does what the original does on the drop-in, without legacy names."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from deprecation import DeprecatedWarning
from merlin_migrate.checkpoint import convert_state
from merlin_migrate.codemod import rewrite_source
from torch import Tensor, nn

import merlin_models_torch as mm
from tests.equivalence.make_data import Sessions, write_windows

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "compat" / "programs" / "getting_started.py"
MASKINGS = ("mlm", "causal")
Pair = tuple[Any, mm.Model, mm.Batch]
BLOCKED = """\
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("transformers4rec", "merlin_standard_lib", "merlin", "merlin_migrate"):
            raise ModuleNotFoundError(f"{name} is a legacy name")
sys.meta_path.insert(0, Blocked())
import runpy
sys.argv = ["rewritten.py", *sys.argv[1:]]
runpy.run_path("rewritten.py", run_name="__main__")
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sessions = Sessions(items=60, categories=6, longest=24)
    return write_windows(tmp_path_factory.mktemp("data"), sessions, train=96, valid=40)


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = rewrite_source(PROGRAM.read_bytes())
    assert result.marks == ()
    file = tmp_path_factory.mktemp("rewritten") / "rewritten.py"
    file.write_bytes(result.after)
    return file


def _module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=MASKINGS)
def pair(request: pytest.FixtureRequest, data: Path, rewritten: Path) -> Iterator[Pair]:
    """The same program on the drop-in and rewritten, with the same weights, and a batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecatedWarning)
        warnings.simplefilter("ignore", UserWarning)
        old = _module(PROGRAM)
        model = old.build_model(old.read_schema(str(data)), request.param)
    new = _module(rewritten)
    schema = new.read_schema(str(data))
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    ours = new.build_model(schema, request.param)
    ours.load_state_dict(convert_state(model.state_dict(), ours))
    path = data / "1" / "valid.parquet"
    batch = next(iter(mm.ParquetLoader(path, schema, batch_size=40, max_sequence_length=20, keep="oldest")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecatedWarning)
        yield model, ours, batch


def _padded(batch: mm.Batch) -> dict[str, Tensor]:
    return {name: batch.padded(name, 20) for name in batch.features}


def test_rewriting_again_changes_nothing(rewritten: Path) -> None:
    assert not rewrite_source(rewritten.read_bytes()).changed


def test_no_legacy_name_is_left(rewritten: Path) -> None:
    legacy = r"transformers4rec|merlin_standard_lib|merlin\.(schema|io)|\btr\."
    assert not re.search(legacy, rewritten.read_text())


def test_evaluation_is_the_same(pair: Pair) -> None:
    model, ours, batch = pair
    model.eval()
    ours.eval()
    with torch.no_grad():
        expected = model(_padded(batch), training=False, testing=True)
        planned = ours.inputs.for_evaluation(batch)
        hidden = ours.body(planned)
        loss = ours.output.loss(hidden, planned)
        scores, items = ours.output.topk(hidden, planned, k=20)
    assert torch.equal(ours.output.targets(planned), expected["labels"])
    torch.testing.assert_close(loss, expected["loss"], atol=1e-5, rtol=0)
    best = expected["predictions"].topk(20)
    torch.testing.assert_close(scores, best.values, atol=1e-5, rtol=0)
    assert torch.equal(items, best.indices)


def test_answers_are_the_same(pair: Pair) -> None:
    model, ours, batch = pair
    model.eval()
    ours.eval()
    with torch.no_grad():
        expected = model(_padded(batch), training=False, testing=False).topk(20)
        scores, items = ours.topk(batch, k=20)
    torch.testing.assert_close(scores, expected.values, atol=1e-5, rtol=0)
    assert torch.equal(items, expected.indices)


class _SamePlan:
    """The plan of a training step with the positions that the other model has masked."""

    def __init__(self, masking: Any, targets: Tensor) -> None:
        self.masking = masking
        self.targets = targets

    def window(self, mode: Any, length: int) -> int:
        return self.masking.window(mode, length)

    def train(self, ids: Tensor, lengths: Tensor, *, generator: torch.Generator | None = None) -> Any:
        plan = self.masking.train(ids, lengths, generator=generator)
        if isinstance(self.masking, mm.CausalMasking):
            return plan
        hidden = self.targets != 0
        return replace(plan, replaced=hidden, targeted=hidden, targets=self.targets)


def test_a_training_step_has_the_same_loss_and_gradients(pair: Pair) -> None:
    model, ours, batch = pair
    for module in (*model.modules(), *ours.modules()):
        if type(module).__name__ == "Dropout":
            module.p = 0.0
    model.train()
    ours.train()
    expected = model(_padded(batch), targets=None, training=True, testing=False)["loss"]
    inputs = model.heads[0].body[0]
    masking = ours.inputs.masking
    ours.inputs.masking = _SamePlan(masking, inputs.masking.masked_targets)  # type: ignore[assignment]
    try:
        planned = ours.inputs.for_training(batch)
        loss = ours.output.loss(ours.body(planned), planned)
    finally:
        ours.inputs.masking = masking
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=0)
    model.zero_grad()
    ours.zero_grad()
    expected.backward()
    loss.backward()
    old, new = inputs.item_embedding_table.weight.grad, ours.inputs.item_table.weight.grad
    assert old is not None
    assert new is not None
    torch.testing.assert_close(new, old, atol=1e-4, rtol=0)
    assert float(old.abs().max()) > 1e-3


@pytest.mark.parametrize("masking", MASKINGS)
def test_the_whole_program_runs_and_prints_its_metrics(
    masking: str, data: Path, rewritten: Path, tmp_path: Path
) -> None:
    (rewritten.parent / "start.py").write_text(BLOCKED)
    options = ["--data-dir", str(data), "--output-dir", str(tmp_path), "--masking", masking, "--epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "start.py", *options],
        cwd=rewritten.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = re.findall(r"^  (val_\w+) = (\d+\.\d+)$", done.stdout, re.MULTILINE)
    keys = ["loss", "ndcg_at_10", "ndcg_at_20", "recall_at_10", "recall_at_20"]
    assert [name for name, _ in printed] == [f"val_{key}" for key in keys] * 2
    values = {name: float(value) for name, value in printed}
    assert 0 < values["val_loss"] < 10
    assert values["val_recall_at_10"] <= values["val_recall_at_20"]
    assert (tmp_path / "metrics.json").is_file()
