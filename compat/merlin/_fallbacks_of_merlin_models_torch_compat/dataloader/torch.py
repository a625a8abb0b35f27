"""The loader of merlin-dataloader, on ``merlin_models_torch.data.ParquetLoader``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import torch
from merlin.core._absent import only
from torch.utils.data import DataLoader, IterableDataset
from transformers4rec.torch.utils.data_utils import MerlinDataLoader

__getattr__ = only(__name__)


class Loader(IterableDataset):
    """Batches of a data set: inputs by column, lists as two tensors, and targets.

    It is its own iterator, as merlin-dataloader's: ``iter`` begins anew, so two loops cannot share it.

    Args:
        dataset: a ``merlin.io.Dataset``; its columns tagged TARGET are the targets.
        batch_size: rows of a batch.
        shuffle: whether the order is random, and another in each epoch.
        seed_fn: gives the seed of the order.
        parts_per_chunk: not used.
        global_size: number of processes.
        global_rank: of this process.
        drop_last: leaves out a last batch that is not full.
        transforms: operators such as ``EmbeddingOperator``.
        device: not used.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        shuffle: bool = False,
        seed_fn: Callable[[], int] | None = None,
        parts_per_chunk: int = 1,
        global_size: int | None = None,
        global_rank: int | None = None,
        drop_last: bool = False,
        transforms: Any = None,
        device: Any = None,
    ) -> None:
        from merlin.schema import Tags

        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle, self.seed_fn, self.drop_last = shuffle, seed_fn, drop_last
        self.parts_per_chunk = parts_per_chunk
        self.global_size, self.global_rank = global_size or 1, global_rank or 0
        self.device = "cpu"
        self.input_schema = dataset.schema
        loader = MerlinDataLoader(
            dataset,
            batch_size,
            labels=dataset.schema.select_by_tag(Tags.TARGET).column_names,
            lists=dataset.schema.column_names,
            shuffle=shuffle,
            seed_fn=seed_fn,
            global_size=global_size,
            global_rank=global_rank,
            drop_last=drop_last,
            transforms=transforms,
        )
        self._batches = loader.dataset
        self._running: Iterator[Any] | None = None
        self.output_schema = loader.output_schema
        inputs = self.input_schema.excluding_by_tag(Tags.TARGET)
        self.label_names = self.input_schema.select_by_tag(Tags.TARGET).column_names
        self.cat_names = inputs.select_by_tag(Tags.CATEGORICAL).column_names
        self.cont_names = inputs.select_by_tag(Tags.CONTINUOUS).column_names

    def map(self, fn: Callable[..., Any]) -> Loader:
        """Applies a function of inputs and targets to every batch, after those before it."""
        self._batches.transforms.append(fn)
        return self

    @property
    def schema(self) -> Any:
        """The columns of the data."""
        return self.input_schema

    def peek(self) -> Any:
        """The batch that comes next, and stays the next."""
        batch = next(self)
        self._running = chain([batch], self._running or ())
        return batch

    def stop(self) -> None:
        """The next batch is the first again."""
        self._running = None

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        self._running = iter(self._batches)
        return self

    def __next__(self) -> Any:
        if self._running is None:
            iter(self)
        try:
            return next(self._running)  # type: ignore[arg-type]
        except StopIteration:
            self._running = None
            raise


class DLDataLoader(DataLoader):
    """torch's loader over one that gives whole batches; it knows its device and length."""

    @property
    def device(self) -> torch.device:
        """CUDA where there is a device of it."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]
