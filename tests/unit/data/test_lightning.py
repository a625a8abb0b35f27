"""The loader in a stock Lightning Trainer: epochs, resuming inside one, and shares of processes."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import lightning
import pyarrow as pa
import pytest
import torch
from torch import Tensor

from merlin_models_torch.batch import Batch
from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.schema import Schema


class Recorder(lightning.LightningModule):
    """Trains one number and keeps the rows it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.zeros(()))
        self.rows: list[tuple[int, list[int]]] = []

    def training_step(self, batch: Batch, index: int) -> Tensor:
        assert batch.rows is not None
        self.rows.append((self.current_epoch, batch.rows.tolist()))
        return self.number**2

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Evaluator(Recorder):
    """Also keeps the rows of validation."""

    def __init__(self) -> None:
        super().__init__()
        self.evaluated: list[int] = []

    def validation_step(self, batch: Batch, index: int) -> None:
        assert batch.rows is not None
        self.evaluated += batch.rows.tolist()


class SaveAt(lightning.Callback):
    """Saves a checkpoint after a step."""

    def __init__(self, step: int, path: Path) -> None:
        self.step = step
        self.path = path

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def trainer(**arguments: Any) -> lightning.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return lightning.Trainer(
        **{
            "accelerator": "cpu",
            "enable_checkpointing": False,
            "num_sanity_val_steps": 0,
            **quiet,
            **arguments,
        }
    )


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """Lightning and torch warn of themselves, not of the loader."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        yield


def rows(sessions: pa.Table, schema: Schema, epoch: int) -> list[list[int]]:
    loader = ParquetLoader(sessions, schema, batch_size=8, shuffle=True)
    loader.set_epoch(epoch)
    return [batch.rows.tolist() for batch in loader if batch.rows is not None]


def test_a_trainer_gets_the_order_of_its_epoch(sessions: pa.Table, schema: Schema) -> None:
    module = Evaluator()
    loader = ParquetLoader(sessions, schema, batch_size=8, shuffle=True)
    held_out = ParquetLoader(sessions, schema, batch_size=8)
    trainer(max_epochs=3).fit(module, loader, held_out)
    for epoch in range(3):
        assert [part for when, part in module.rows if when == epoch] == rows(sessions, schema, epoch)
    assert module.evaluated == list(range(103)) * 3


def test_training_resumes_inside_an_epoch_with_the_rows_that_are_left(
    sessions: pa.Table, schema: Schema, tmp_path: Path
) -> None:
    def loader() -> ParquetLoader:
        return ParquetLoader(sessions, schema, batch_size=8, shuffle=True)

    whole = Recorder()
    trainer(max_epochs=3).fit(whole, loader())
    first = Recorder()
    trainer(max_epochs=2, callbacks=[SaveAt(18, tmp_path / "at.ckpt")]).fit(first, loader())
    second = Recorder()
    trainer(max_epochs=3).fit(second, loader(), ckpt_path=tmp_path / "at.ckpt")
    assert first.rows[:18] + second.rows == whole.rows


def test_the_share_is_that_of_the_process_once_there_are_several(
    sessions: pa.Table, schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = ParquetLoader(sessions, schema, batch_size=8)
    assert len(loader) == 13
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    seen = []
    for rank in range(2):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        assert len(loader) == 7
        seen += [row for batch in loader if batch.rows is not None for row in batch.rows.tolist()]
    assert seen == list(range(103))
    alone = ParquetLoader(sessions, schema, batch_size=8, rank=0, world=1)
    assert len(alone) == 13
