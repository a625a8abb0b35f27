"""A Trainer's run and the plain loop of torch that it must equal."""

from collections.abc import Callable, Sequence

import lightning
import torch
from torch import nn

import merlin_models_torch as mm
from merlin_models_torch.outputs import BinaryOutput
from tests.unit.clicks import click_schema, click_table
from tests.unit.training.test_model import trainer

ROWS = 48
BATCH = 8


def click_model(*, sparse: bool = False, optimizer: object = None) -> mm.Model:
    """A model over :func:`tests.unit.clicks.click_schema`, of the same weights each time."""
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(click_schema(), embedding_dim=4, sparse=sparse)
    return mm.Model(inputs, mm.MLPBlock([8]), BinaryOutput("click"), optimizer=optimizer)  # type: ignore[arg-type]


def loader(rows: int = ROWS, batch_size: int = BATCH) -> mm.ParquetLoader:
    """Batches in the order of the rows."""
    return mm.ParquetLoader(click_table(rows), click_schema(), batch_size=batch_size)


def tables(model: nn.Module) -> list[nn.Parameter]:
    """Weights of the embedding tables."""
    return [m.weight for m in model.modules() if isinstance(m, mm.EmbeddingTable)]


def others(model: nn.Module) -> list[nn.Parameter]:
    """All other parameters."""
    ids = {id(p) for p in tables(model)}
    return [p for p in model.parameters() if id(p) not in ids]


def loss_of(model: mm.Model, batch: mm.Batch) -> torch.Tensor:
    """The loss that is trained."""
    return model.output.loss(model.body(batch), batch)


def plain_loop(
    model: mm.Model,
    optimizers: Sequence[torch.optim.Optimizer],
    *,
    epochs: int = 2,
    before: Callable[[], object] = lambda: None,
    after_step: Callable[[], object] = lambda: None,
    after_epoch: Callable[[], object] = lambda: None,
) -> mm.Model:
    """Trains as one writes it by hand."""
    model.train()
    for _ in range(epochs):
        for batch in loader():
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss_of(model, batch).backward()
            before()
            for optimizer in optimizers:
                optimizer.step()
            after_step()
        after_epoch()
    return model


def fitted(model: mm.Model, *, epochs: int = 2, validate: bool = False, **options: object) -> mm.Model:
    """Trains with a Trainer."""
    run: lightning.Trainer = trainer(max_epochs=epochs, **options)
    run.fit(model, loader(), loader(24) if validate else None)
    return model


def assert_same(one: nn.Module, other: nn.Module, **tolerance: float) -> None:
    """The parameters are equal, and have moved from where they began."""
    bounds = tolerance or {"rtol": 0.0, "atol": 0.0}
    start = dict(click_model().named_parameters())
    for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, **bounds, msg=lambda text, n=name: f"{n}: {text}")
        assert not torch.equal(a, start[name]), name
