"""Programs with trainers and callbacks of their own, trained before and after: the same numbers all along.

Each epoch is one batch, dropout is off, the first weights are the same: so two trainings are the same.
"""

from __future__ import annotations

import json
import runpy
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
import transformers4rec.torch as tr
from deprecation import DeprecatedWarning
from merlin_migrate.checkpoint import convert_state
from merlin_migrate.codemod import rewrite_source
from merlin_migrate.codemod.trainers.taken import OF_MODELS, OF_TRAINERS
from torch import nn
from transformers import Trainer as HuggingFaceTrainer

import merlin_models_torch as mm
from tests.equivalence.make_data import Sessions, write_windows

PROGRAMS = Path(__file__).parent / "own_trainers"
OWN = ("focal", "stopping", "annealed")


def test_names_of_models_and_trainers_are_known() -> None:
    # transformers hangs one more onto every module once it has made weights.
    ours = {name for name in dir(mm.Model) if not name.startswith("_")} - {"smart_apply"}
    assert ours <= OF_MODELS
    methods = {name for name, value in vars(HuggingFaceTrainer).items() if callable(value)}
    assert {name for name in methods if not name.startswith("_")} <= OF_TRAINERS


@pytest.mark.parametrize("name", OWN)
def test_it_is_rewritten_whole(name: str) -> None:
    result = rewrite_source((PROGRAMS / f"{name}.py").read_bytes())
    assert result.marks == ()
    assert result.after.decode() == (PROGRAMS / "after" / f"{name}.py").read_text()
    assert not rewrite_source(result.after).changed


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sessions = Sessions(items=60, categories=6, longest=24, labels=True)
    return write_windows(tmp_path_factory.mktemp("data"), sessions, windows=2, train=96, valid=40)


def _prepared(model: nn.Module) -> None:
    for module in model.modules():
        if type(module).__name__ == "Dropout":
            module.p = 0.0


class _Weights:
    """The weights that both trainings begin with."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.seen: set[int] = set()

    def made(self, model: Any) -> None:
        """Draws them for the old model."""
        if id(model) in self.seen:
            return
        self.seen.add(id(model))
        torch.manual_seed(0)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.1)
        self.state = {name: value.clone() for name, value in model.state_dict().items()}
        _prepared(model)

    def taken(self, model: Any) -> None:
        """Gives them to the new one."""
        if id(model) in self.seen:
            return
        self.seen.add(id(model))
        model.load_state_dict(convert_state(self.state, model), strict=False)
        _prepared(model)


def _run(program: Path, data: Path, folder: Path) -> Any:
    arguments = sys.argv
    sys.argv = [str(program), "--data-dir", str(data), "--output-dir", str(folder)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecatedWarning)
            warnings.simplefilter("ignore", UserWarning)
            runpy.run_path(str(program), run_name="__main__")
    finally:
        sys.argv = arguments
    return json.loads((folder / "metrics.json").read_text())


def _first(do: Callable[[Any], None], train: Callable[..., Any], model_of: Callable[..., Any]) -> Any:
    def trained(self: Any, *args: Any, **kwargs: Any) -> Any:
        do(model_of(self, *args))
        return train(self, *args, **kwargs)

    return trained


@pytest.mark.parametrize("name", OWN)
def test_both_trainings_are_the_same(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = _Weights()
    old_train = _first(weights.made, HuggingFaceTrainer.train, lambda trainer, *_: trainer.model)
    monkeypatch.setattr(tr.Trainer, "train", old_train, raising=False)
    fit = _first(weights.taken, lightning.Trainer.fit, lambda _, model, *__: model)
    monkeypatch.setattr(lightning.Trainer, "fit", fit)
    before = _run(PROGRAMS / f"{name}.py", data, tmp_path / "before")
    after = _run(PROGRAMS / "after" / f"{name}.py", data, tmp_path / "after")
    _compare(before, after, name)


def _compare(before: Any, after: Any, place: str) -> None:
    assert type(before) is type(after), place
    if place.endswith(".items"):
        # Of scores that are all but equal either may be the higher.
        pairs = [pair for rows in zip(before, after, strict=True) for pair in zip(*rows, strict=True)]
        assert sum(one == other for one, other in pairs) > 0.9 * len(pairs), place
    elif isinstance(before, dict):
        assert before.keys() == after.keys()
        for key, value in before.items():
            _compare(value, after[key], f"{place}.{key}")
    elif isinstance(before, list):
        assert len(before) == len(after), (place, before, after)
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            _compare(one, other, f"{place}[{index}]")
    elif isinstance(before, str):
        assert after == before.replace("eval_/next-item/", "val_"), place
    else:
        # Adam makes much of gradients that are all but nothing, which differ by rounding.
        assert after == pytest.approx(before, rel=1e-3, abs=1e-4), place
