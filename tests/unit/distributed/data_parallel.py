"""What each process runs in ``test_data_parallel``: stock Lightning over parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import pyarrow.parquet as pq
import torch
from torch import Tensor

import merlin_models_torch as mm
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_model, session_table

FILES = (7, 1, 9, 5)
BATCH = 2


def write_files(folder: Path) -> None:
    """22 sessions in four files of odd sizes and row groups."""
    rows, first = session_table(sum(FILES)), 0
    for number, count in enumerate(FILES):
        pq.write_table(rows.slice(first, count), folder / f"{number}.parquet", row_group_size=3)
        first += count


def small_model(**output: Any) -> mm.Model:
    """The same weights in every process, nothing random."""
    torch.manual_seed(0)
    model = session_model(**output)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def trainer(**options: Any) -> lightning.Trainer:
    """Two epochs, quiet."""
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return lightning.Trainer(
        **{"max_epochs": 2, "accelerator": "cpu", "enable_checkpointing": False, **quiet, **options}
    )


def train(folder: Path, *, streamed: bool, batch_size: int) -> dict[str, Tensor]:
    """Weights and figures of one of the processes."""
    model = small_model()
    model.optimizer = mm.OptimizerConfig("sgd", lr=0.5)
    world = torch.distributed.get_world_size()
    one = trainer(strategy="ddp", devices=world)
    one.fit(model, loader(folder, streamed=streamed, batch_size=batch_size))
    # Three rows in batches of one: some processes have nothing left for the last step.
    figures = one.test(model, few(folder), verbose=False)[0]
    answers = model.predict(few(folder), k=3)
    return {
        **{name: value.detach() for name, value in model.named_parameters()},
        **{name: torch.tensor(value) for name, value in figures.items()},
        "answers": torch.tensor(answers["item_id"].to_pylist()).reshape(-1, 3),
    }


def loader(folder: Path, *, streamed: bool, batch_size: int = BATCH, **share: int) -> mm.ParquetLoader:
    """Shuffled training rows."""
    return mm.ParquetLoader(
        folder,
        session_schema(),
        batch_size=batch_size,
        shuffle=True,
        memory_limit=0 if streamed else 2**30,
        buffer_groups=2,
        **share,
    )


def few(folder: Path) -> mm.ParquetLoader:
    """Three rows in order."""
    rows = pq.read_table(sorted(folder.glob("*.parquet"))[0]).slice(0, 3)
    return mm.ParquetLoader(rows, session_schema(), batch_size=1)


class Joined:
    """What the ranks get at each step as one batch."""

    def __init__(self, folder: Path, world: int, *, streamed: bool, batch_size: int = BATCH) -> None:
        self.loaders = [
            loader(folder, streamed=streamed, batch_size=batch_size, rank=rank, world=world)
            for rank in range(world)
        ]
        self.rows = pq.read_table(sorted(folder.glob("*.parquet")))

    def __len__(self) -> int:
        return len(self.loaders[0])

    def __iter__(self) -> Iterator[mm.Batch]:
        for parts in zip(*self.loaders, strict=True):
            numbers = torch.cat([part.rows for part in parts if not part.filler])
            table = self.rows.take(numbers.numpy())
            yield next(iter(mm.ParquetLoader(table, session_schema(), batch_size=len(numbers))))
