"""The loader named "pyarrow", and the datasets that it was made of."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from merlin.schema import Tags
from torch.utils.data import DataLoader, Dataset, IterableDataset

import merlin_models_torch as mm
from transformers4rec._legacy import legacy, tell_once
from transformers4rec.torch.utils._batches import Batches, schema_of, selected, source_of
from transformers4rec.torch.utils._loaders import T4RecDataLoader, dataloader_registry

_HOME = "transformers4rec.torch.utils.data_utils"


@dataloader_registry.register_with_multiple_names("pyarrow_builder", "pyarrow")
@legacy(home=_HOME)
class PyarrowDataLoader(T4RecDataLoader, DataLoader):
    """Batches of parquet files in their order, each a list of inputs and of targets by name.

    ``dataset`` has the rows one at a time, which torch would batch; batches are read whole instead, unless a
    subclass sets another dataset.

    Args:
        paths_or_dataset: files, a glob or a table.
        batch_size: rows of a batch.
        max_sequence_length: length of list columns, of which the oldest items are kept.
        cols_to_read: columns; all of the schema if not given.
        target_names: those of them that are targets.
        shuffle: whether the order is random, where there is a buffer.
        shuffle_buffer_size: no shuffling for 0; how much more does not matter.
        num_workers: of torch's loader; batches that are read whole need none.
        pin_memory: of torch's loader; used likewise.
        drop_last: leaves out a last batch that is not full.
        **kwargs: ``schema`` of the columns, inferred if not given; others are not used.
    """

    def __init__(
        self,
        paths_or_dataset: Any,
        batch_size: int,
        max_sequence_length: int | None,
        cols_to_read: list[str] | None = None,
        target_names: list[str] | None = None,
        shuffle: bool = False,
        shuffle_buffer_size: int = 0,
        num_workers: int = 1,
        pin_memory: bool = True,
        drop_last: bool = False,
        **kwargs: Any,
    ) -> None:
        self.paths_or_dataset = paths_or_dataset
        self.shuffle = shuffle
        self.shuffle_buffer_size = shuffle_buffer_size
        self.max_sequence_length = max_sequence_length
        self._schema = kwargs.get("schema")
        self._rows = {"batch_size": batch_size, "drop_last": drop_last}
        self._batches: Batches | None = None
        if (kwargs.get("global_size") or 1) > 1:
            tell_once(
                "pyarrow-processes",
                "with data_loader_engine='pyarrow' every process reads all rows, as in Transformers4Rec "
                "23.12.0: write data_loader_engine='merlin', which shares them out",
            )
        self.set_dataset(cols_to_read=cols_to_read, target_names=target_names)
        DataLoader.__init__(
            self,
            self.dataset,
            batch_size=batch_size,
            drop_last=drop_last,
            num_workers=num_workers,
            pin_memory=pin_memory,
        )
        self._batch_size = batch_size

    def set_dataset(self, cols_to_read: list[str] | None, target_names: list[str] | None) -> None:
        """Takes some columns of the data.

        Args:
            cols_to_read: columns; all of the schema if not given.
            target_names: those of them that are targets.
        """
        schema, targets = schema_of(self._schema, self.paths_or_dataset), target_names or []
        source, names = source_of(self.paths_or_dataset), cols_to_read or schema.column_names
        shuffle = self.shuffle and self.shuffle_buffer_size > 0
        loader = mm.ParquetLoader(
            source,
            selected(schema, names, {Tags.TARGET: targets}),
            targets=targets,
            shuffle=shuffle,
            seed=int(np.random.randint(2**31)) if shuffle else 0,
            max_sequence_length=self.max_sequence_length,
            keep="oldest",
            empty="keep",
            rank=0,
            world=1,
            **self._rows,
        )
        self._batches = Batches(loader, length=self.max_sequence_length, named_targets=True)
        rows = ParquetDataset(source, list(dict.fromkeys(names)), targets, self.max_sequence_length)
        self.dataset = ShuffleDataset(rows, self.shuffle_buffer_size) if shuffle else rows

    def __iter__(self) -> Iterator[Any]:
        if self._batches is None:
            return super().__iter__()
        return map(list, self._batches)

    def __len__(self) -> int:
        return super().__len__() if self._batches is None else len(self._batches)

    def set_epoch(self, epoch: int) -> None:
        """Sets the number of the next epoch, which the order depends on where it is random."""
        if self._batches is not None:
            self._batches.set_epoch(epoch)

    @classmethod
    @legacy(home=_HOME)
    def from_schema(
        cls,
        schema: Any,
        paths_or_dataset: Any,
        batch_size: int,
        max_sequence_length: int | None,
        continuous_features: list[str] | None = None,
        categorical_features: list[str] | None = None,
        targets: list[str] | None = None,
        shuffle: bool = False,
        shuffle_buffer_size: int = 0,
        num_workers: int = 1,
        pin_memory: bool = True,
        **kwargs: Any,
    ) -> PyarrowDataLoader:
        """A loader of the columns of a schema, by their tags.

        Args:
            schema: of the columns.
            paths_or_dataset: files, a glob or a table.
            batch_size: rows of a batch.
            max_sequence_length: length of list columns.
            continuous_features: columns; those tagged CONTINUOUS if not given.
            categorical_features: columns; those tagged CATEGORICAL if not given.
            targets: columns; those tagged TARGET if not given.
            shuffle: whether the order is random, where there is a buffer.
            shuffle_buffer_size: no shuffling for 0.
            num_workers: of torch's loader.
            pin_memory: of torch's loader.
            **kwargs: of the loader.
        """

        def names(given: list[str] | None, tag: Any) -> list[str]:
            return given or schema.select_by_tag(tag).column_names

        targets = names(targets, Tags.TARGET)
        features = names(categorical_features, Tags.CATEGORICAL) + names(continuous_features, Tags.CONTINUOUS)
        return cls(
            paths_or_dataset,
            batch_size,
            max_sequence_length,
            cols_to_read=features + targets,
            target_names=targets,
            shuffle=shuffle,
            shuffle_buffer_size=shuffle_buffer_size,
            num_workers=num_workers,
            pin_memory=pin_memory,
            schema=schema,
            **kwargs,
        )


@legacy(home=_HOME)
class ParquetDataset(Dataset):
    """Rows of a parquet file, one at a time, as inputs and targets by name.

    Args:
        parquet_file: the file, or several, or a table. Read with the first row that is asked for.
        cols_to_read: columns.
        target_names: those of them that are targets.
        seq_features_len_pad_trim: list columns are cut to their first positions, or filled up with 0.
    """

    def __init__(
        self,
        parquet_file: Any,
        cols_to_read: list[str],
        target_names: list[str],
        seq_features_len_pad_trim: int,
    ) -> None:
        self.cols_to_read = cols_to_read
        self.target_names = target_names
        self.seq_features_len_pad_trim = seq_features_len_pad_trim
        from merlin_models_torch.data.source import open_source

        self._source = open_source(parquet_file)

    @cached_property
    def data(self) -> Any:
        """The columns as a data frame."""
        from merlin_models_torch.data.source import ParquetSource

        source, names = self._source, self.cols_to_read
        table = source.table(names) if isinstance(source, ParquetSource) else source.table.select(names)
        return table.to_pandas()

    def __len__(self) -> int:
        return self._source.num_rows

    def __getitem__(self, index: int) -> tuple[dict[str, Any], dict[str, Any]]:
        row = self.data.loc[index]
        named = {name: self.pad_seq_column_if_needed(row[name]) for name in self.cols_to_read}
        targets = {name: named.pop(name) for name in self.target_names}
        return named, targets

    def pad_seq_column_if_needed(self, values: Any) -> Any:
        """A list as an array of the wanted length, int64 or float32; anything else as it is."""
        if not isinstance(values, np.ndarray):
            return values
        kind = np.float32 if values.dtype.kind == "f" else np.int64
        padded = np.zeros(self.seq_features_len_pad_trim, kind)
        kept = values[: self.seq_features_len_pad_trim]
        padded[: len(kept)] = kept
        return padded


@legacy(home=_HOME)
class ShuffleDataset(IterableDataset):
    """The items of a dataset in an order that is random within a buffer; 23.12.0 gave none at all.

    Args:
        dataset: with a length and items by number.
        buffer_size: items that wait for their turn.
    """

    def __init__(self, dataset: Any, buffer_size: int) -> None:
        super().__init__()
        self.dataset = dataset
        self.buffer_size = buffer_size

    def __iter__(self) -> Iterator[Any]:
        waiting: list[Any] = []
        for number in range(len(self.dataset)):
            waiting.append(self.dataset[number])
            if len(waiting) >= self.buffer_size:
                yield waiting.pop(random.randrange(len(waiting)))
        random.shuffle(waiting)
        yield from waiting

    def __len__(self) -> int:
        return len(self.dataset)
