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
        self.dataset = dataset
        self.shuffle, self.seed_fn, self.drop_last = shuffle, seed_fn, drop_last
        self.parts_per_chunk = parts_per_chunk
        self.global_size, self.global_rank = global_size or 1, global_rank or 0
        self.device = "cpu"
        self.transforms = transforms
        self._ranks = {"global_size": global_size, "global_rank": global_rank}
        self._functions: list[Callable[..., Any]] = []
        self._batch_size, self._input_schema = batch_size, dataset.schema
        self._make()

    def _make(self) -> None:
        """The batches of the columns and the size that are asked for now."""
        from merlin.schema import Tags

        inputs = self._input_schema.excluding_by_tag(Tags.TARGET)
        self.label_names = self._input_schema.select_by_tag(Tags.TARGET).column_names
        self.cat_names = inputs.select_by_tag(Tags.CATEGORICAL).column_names
        self.cont_names = inputs.select_by_tag(Tags.CONTINUOUS).column_names
        loader = MerlinDataLoader(
            self.dataset,
            self._batch_size,
            labels=self.label_names,
            lists=self._input_schema.column_names,
            shuffle=self.shuffle,
            seed_fn=self.seed_fn,
            drop_last=self.drop_last,
            schema=self._input_schema,
            transforms=self.transforms,
            **self._ranks,
        )
        self._batches = loader.dataset
        self._batches.transforms[:0] = [_as_matrices(self._input_schema)]
        self._batches.transforms.extend(self._functions)
        self._running: Iterator[Any] | None = None
        given = {column.name: column for column in loader.output_schema}
        order = [name for name in self._input_schema.column_names if name in given]
        self.output_schema = type(self._input_schema)(
            [given.pop(name) for name in order] + list(given.values())
        )

    @property
    def batch_size(self) -> int:
        """Rows of a batch; another may be set."""
        return self._batch_size

    @batch_size.setter
    def batch_size(self, rows: int) -> None:
        self._batch_size = rows
        self._make()

    @property
    def input_schema(self) -> Any:
        """The columns that are read; fewer may be set."""
        return self._input_schema

    @input_schema.setter
    def input_schema(self, schema: Any) -> None:
        self._input_schema = schema
        self._make()

    def epochs(self, epochs: int = 1) -> Iterator[Any]:
        """The batches of several epochs, one after the other.

        Raises:
            ValueError: if there are to be none.
        """
        if epochs < 1:
            raise ValueError(f"epochs is {epochs}, expected at least 1")
        return chain.from_iterable(self for _ in range(epochs))

    def map(self, fn: Callable[..., Any]) -> Loader:
        """Applies a function of inputs and targets to every batch, after those before it."""
        self._functions.append(fn)
        self._batches.transforms.append(fn)
        return self

    @property
    def schema(self) -> Any:
        """The columns that are read."""
        return self._input_schema

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


def _as_matrices(schema: Any) -> Callable[..., Any]:
    """A function of inputs and targets: lists of one length, which their columns tell, become matrices."""
    shapes = {column.name: [dim.max for dim in list(column.shape)[1:]] for column in schema}
    fixed = {name: dims for name, dims in shapes.items() if dims and not schema[name].is_ragged}

    def dense(tensors: Any) -> Any:
        if not isinstance(tensors, dict) or not any(f"{name}__values" in tensors for name in fixed):
            return tensors
        made = {}
        for name, tensor in tensors.items():
            column = name.removesuffix("__values").removesuffix("__offsets")
            if column == name or column not in fixed:
                made[name] = tensor
            elif name.endswith("__values"):
                made[column] = tensor.reshape(-1, *fixed[column])
        return made

    return lambda inputs, targets: (dense(inputs), dense(targets))


class DLDataLoader(DataLoader):
    """torch's loader over one that gives whole batches; it knows its device and length."""

    @property
    def device(self) -> torch.device:
        """CUDA where there is a device of it."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]
