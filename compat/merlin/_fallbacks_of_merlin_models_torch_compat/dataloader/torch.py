"""The loader of merlin-dataloader, on ``merlin_models_torch.data.ParquetLoader``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import IterableDataset
from transformers4rec.torch.utils.data_utils import MerlinDataLoader


class Loader(IterableDataset):
    """Batches of a data set: inputs by column, lists as two tensors, and targets.

    Args:
        dataset: a ``merlin.io.Dataset``; its columns tagged TARGET are the targets.
        batch_size: rows of a batch.
        shuffle: whether the order is random, and another in each epoch.
        seed_fn: gives the seed of the order.
        parts_per_chunk: not used.
        global_size: number of processes.
        global_rank: of this process.
        drop_last: leaves out a last batch that is not full.
        transforms: functions of inputs and targets.
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
        self.output_schema = loader.output_schema

    def map(self, fn: Callable[..., Any]) -> Loader:
        """Applies a function of inputs and targets to every batch, after those before it."""
        self._batches.transforms.append(fn)
        return self

    def peek(self) -> Any:
        """The first batch."""
        return next(iter(self))

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._batches)
