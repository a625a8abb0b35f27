"""What grows: for each kind of size a function that makes a piece of work of it.

A maker takes the size and a folder for files, and returns a function of no arguments that does the work once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Work = Callable[[], object]
WIDTH = 64


@dataclass(frozen=True)
class Series:
    """Sizes of one kind, rising, and the work that is measured at each.

    Args:
        name: what the page calls it.
        axis: what the sizes count.
        make: makes the work.
        sizes: that are measured.
        small: the same, for a trial within seconds.
        memory: whether memory is measured too: by the largest first run over what was resident before.
        rounds: times that the work runs; the best counts.
    """

    name: str
    axis: str
    make: Callable[[int, Path], Work]
    sizes: tuple[int, ...]
    small: tuple[int, ...]
    memory: bool = False
    rounds: int = 3


def softmax_loss(items: int, folder: Path) -> Work:
    """Loss over the catalogue and its gradients, 512 targets."""
    import torch

    from merlin_models_torch.outputs.losses import softmax_cross_entropy

    hidden = torch.randn(512, WIDTH, requires_grad=True)
    weight = torch.randn(items, WIDTH).mul_(0.1).requires_grad_()
    targets = torch.randint(items, (512,))

    def run() -> object:
        hidden.grad = weight.grad = None
        softmax_cross_entropy(hidden, weight, targets).backward()
        return None

    return run


def sampled_step(items: int, folder: Path) -> Work:
    """Lookup, loss of 512 targets against 1,000 items, gradients of their rows and the optimiser."""
    import torch

    from merlin_models_torch.inputs import EmbeddingTable
    from merlin_models_torch.schema import ColumnSchema
    from merlin_models_torch.training import OptimizerConfig

    column = ColumnSchema("item", dtype="int64", properties={"domain": {"min": 0, "max": items - 1}})
    table = EmbeddingTable(column, WIDTH, sparse=True)
    optimizer: Any = OptimizerConfig("adamw", lr=1e-3).build(table)
    targets, negatives = torch.randint(1, items, (512,)), torch.randint(1, items, (1000,))
    hidden = torch.randn(512, WIDTH)

    def run() -> object:
        optimizer.zero_grad()
        positive = (hidden * table(targets)).sum(1, keepdim=True)
        scores = torch.cat([positive, hidden @ table(negatives).T], 1)
        torch.nn.functional.cross_entropy(scores, torch.zeros_like(targets)).backward()
        optimizer.step()
        return None

    return run


def dense_update(items: int, folder: Path) -> Work:
    """An Adam step on a table of which every row has a gradient."""
    import torch

    from merlin_models_torch.training import OptimizerConfig

    table = torch.nn.Embedding(items, WIDTH)
    optimizer: Any = OptimizerConfig("adamw", lr=1e-3).build(table)
    table.weight.grad = torch.ones_like(table.weight)

    def run() -> object:
        optimizer.step()
        return None

    return run


def topk(queries: int) -> Callable[[int, Path], Work]:
    """The best 100 items of some queries, by an index that has been asked before."""

    def make(items: int, folder: Path) -> Work:
        import torch

        from merlin_models_torch.retrieval import ItemIndex

        asked, index = torch.randn(queries, WIDTH), ItemIndex(torch.randn(items, WIDTH))
        for _ in range(40 // queries + 1):
            index.topk(asked, k=100)
        return lambda: index.topk(asked, k=100)

    return make


def training_step(*, length: int = 20, batch: int = 128, columns: int = 1) -> Work:
    """Masking, model, loss, gradients and optimiser of a session model of two layers with 1,000 items."""
    import pyarrow as pa
    import torch

    import merlin_models_torch as mm
    from merlin_models_torch.schema import ColumnSchema, Schema, Tags

    names = ["item_id", *(f"column_{number}" for number in range(1, columns))]
    random = np.random.default_rng(0)
    offsets = pa.array(np.arange(batch + 1, dtype=np.int32) * length)
    rows = {n: pa.ListArray.from_arrays(offsets, random.integers(1, 1000, batch * length)) for n in names}
    domain = {"domain": {"min": 0, "max": 1000}}
    schema = Schema(
        [
            ColumnSchema(
                name,
                [Tags.CATEGORICAL, Tags.SEQUENCE, *([Tags.ITEM_ID] if name == "item_id" else [])],
                {"domain": {**domain["domain"], "name": name}},
                "int64",
                is_list=True,
            )
            for name in names
        ]
    )
    torch.manual_seed(0)
    model = mm.SessionModel(schema, max_sequence_length=length)
    optimizer: Any = mm.OptimizerConfig().build(model)
    given = next(iter(mm.ParquetLoader(pa.table(rows), schema, batch_size=batch)))
    generator = torch.Generator().manual_seed(0)

    def run() -> object:
        optimizer.zero_grad()
        mm.Step(model, given, "train", generator=generator).loss.backward()
        optimizer.step()
        return None

    return run


def epoch(rows: int, folder: Path, *, columns: int = 4, limit: int = 2**25) -> Work:
    """A shuffled epoch of sessions of 20 items from a file, which is streamed if it is above the limit."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    import merlin_models_torch as mm
    from merlin_models_torch.schema import ColumnSchema, Schema, Tags

    names = [f"column_{number}" for number in range(columns)]
    random, group = np.random.default_rng(0), min(rows, 5000)
    offsets = pa.array(np.arange(group + 1, dtype=np.int32) * 20)
    path = folder / f"{rows}-{columns}.parquet"
    table = pa.table(
        {name: pa.ListArray.from_arrays(offsets, random.integers(1, 1000, group * 20)) for name in names}
    )
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(rows // group):
            writer.write_table(table)
    tags = [Tags.CATEGORICAL, Tags.SEQUENCE]
    domain = {"domain": {"min": 0, "max": 1000}}
    schema = Schema([ColumnSchema(name, tags, domain, "int64", is_list=True) for name in names])
    loader = mm.ParquetLoader(path, schema, batch_size=512, shuffle=True, memory_limit=limit)

    def run() -> object:
        return sum(len(batch) for batch in loader)

    return run


def evaluation_loop(steps: int, folder: Path) -> Work:
    """The drop-in's evaluation beside the model: the best 100 items of 128 rows a step, kept and joined."""
    from tests.benchmarks.rows import evaluation

    evaluation.prepare(folder, steps=steps, batch_size=128)
    return evaluation.ours(folder, steps=steps, batch_size=128)


_CATALOGUE = (10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000)
_FEW = (1_000, 2_000, 4_000)
SERIES = (
    Series("softmax loss, 512 targets", "items", softmax_loss, _CATALOGUE, _FEW, memory=True),
    Series("training step, 1,000 drawn items", "items", sampled_step, _CATALOGUE, _FEW, memory=True),
    Series("Adam step, every row", "items", dense_update, _CATALOGUE, _FEW, memory=True),
    Series("top 100, 1 query", "items", topk(1), _CATALOGUE, _FEW, memory=True, rounds=10),
    Series("top 100, 128 queries", "items", topk(128), _CATALOGUE, _FEW, memory=True),
    Series(
        "training step, 32 sessions",
        "items of a session",
        lambda size, _: training_step(length=size, batch=32),
        (10, 20, 50, 100, 200, 500),
        (5, 10, 20),
        memory=True,
    ),
    Series(
        "training step, 20 items",
        "sessions of a batch",
        lambda size, _: training_step(batch=size),
        (16, 64, 256, 1024),
        (4, 8, 16),
        memory=True,
    ),
    Series(
        "training step, 128 x 20",
        "columns",
        lambda size, _: training_step(columns=size),
        (1, 2, 4, 8, 16, 32),
        (1, 2, 4),
    ),
    Series(
        "loader, 50k rows held",
        "columns",
        lambda size, folder: epoch(50_000, folder, columns=size, limit=2**32),
        (1, 2, 4, 8, 16, 32),
        (1, 2, 4),
    ),
    Series(
        "loader, streamed, 32 MiB held at most",
        "rows",
        epoch,
        (100_000, 200_000, 400_000, 800_000, 1_600_000),
        (5_000, 10_000, 20_000),
        memory=True,
        rounds=1,
    ),
    Series(
        "drop-in evaluation without the model",
        "steps",
        evaluation_loop,
        (200, 400, 800, 1600, 3200),
        (4, 8, 16),
    ),
)
