"""Data loaders by Transformers4Rec's names, on ``merlin_models_torch.data.ParquetLoader``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from merlin.schema import Tags
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from merlin_models_torch.batch import Batch, Ragged
from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.schema import Schema, as_schema
from transformers4rec._legacy import absent, legacy
from transformers4rec._registry import Registry

__getattr__ = absent(__name__, "ParquetDataset", "ShuffleDataset")

dataloader_registry: Registry = Registry("torch.dataloader_loader")


class T4RecDataLoader:
    """Makes the batches of the Trainer; subclasses are found by their registered names."""

    @classmethod
    def from_schema(
        cls,
        schema: Any,
        paths_or_dataset: Any,
        batch_size: int,
        max_sequence_length: int | None,
        **kwargs: Any,
    ) -> Any:
        """A loader of the columns of a schema."""
        raise NotImplementedError(f"{cls.__name__} has to define from_schema")

    def set_dataset(self, paths_or_dataset: Any) -> None:
        """Takes other data."""
        raise NotImplementedError(f"{type(self).__name__} has to define set_dataset")

    @classmethod
    def parse(cls, class_or_str: Any) -> Any:
        """The loader class of a registered name; anything but a string as it is."""
        return dataloader_registry.parse(class_or_str)


def _only(batches: list[Any]) -> Any:
    """The one batch that torch's loader is told to collect."""
    return batches[0]


class DLDataLoader(DataLoader):
    """A torch data loader over a dataset that gives whole batches.

    Args:
        dataset: iterable of batches.
        batch_size: rows of a batch, kept as ``_batch_size``, which the Trainer reads.
        **kwargs: of torch's loader.
    """

    def __init__(self, dataset: Any, *, batch_size: int, **kwargs: Any) -> None:
        self._batch_size = batch_size
        super().__init__(dataset, **{"collate_fn": _only, **kwargs})

    @property
    def device(self) -> torch.device:
        """CUDA where there is a device of it."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def __len__(self) -> int:
        return len(self.dataset)


def _first_positions(column: Tensor | Ragged, length: int) -> Tensor:
    """(B, length): the first positions, filled up with 0."""
    matrix = column.padded() if isinstance(column, Ragged) else column
    return matrix if matrix.dim() < 2 else torch.nn.functional.pad(matrix, (0, length - matrix.shape[1]))


def _columns(columns: dict[str, Tensor | Ragged], length: int | None) -> dict[str, Tensor]:
    """Tensors by column name; without a length list columns stay ragged, in two tensors."""
    if length is not None:
        return {name: _first_positions(column, length) for name, column in columns.items()}
    tensors: dict[str, Tensor] = {}
    for name, column in columns.items():
        if isinstance(column, Ragged):
            tensors |= {f"{name}__values": column.values, f"{name}__offsets": column.offsets}
        else:
            tensors[name] = column
    return tensors


class _Batches(IterableDataset):
    """Pairs of inputs and targets, as Transformers4Rec's loaders give them."""

    def __init__(
        self,
        loader: ParquetLoader,
        labels: list[str],
        length: int | None,
        transforms: list[Callable[..., Any]],
    ) -> None:
        self.loader = loader
        self.labels = labels
        self.length = length
        self.transforms = transforms

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Any]]:
        for batch in self.loader:
            pair = self._pair(batch)
            for transform in self.transforms:
                pair = transform(*pair)
            yield pair

    def set_epoch(self, epoch: int) -> None:
        """Sets the number of the next epoch, which the order depends on."""
        self.loader.set_epoch(epoch)

    def _pair(self, batch: Batch) -> tuple[dict[str, Tensor], Any]:
        targets = _columns(dict(batch.targets), self.length)
        if not targets:
            return _columns(dict(batch.features), self.length), None
        # One target comes bare, several by name.
        return (
            _columns(dict(batch.features), self.length),
            targets if len(self.labels) > 1 else next(iter(targets.values())),
        )


def _source(paths_or_dataset: Any) -> Any:
    """What the core's loader reads: paths, tables and data frames as they are, the inside of a Dataset."""
    source = getattr(paths_or_dataset, "source", None)
    if source is not None:
        return source
    if hasattr(paths_or_dataset, "to_ddf"):
        return paths_or_dataset.to_ddf().compute()
    return paths_or_dataset


def _selected(schema: Any, names: list[str], tags: dict[Any, list[str]]) -> Schema:
    """These columns of a schema, tagged as the caller says."""
    columns = []
    for column in as_schema(schema).select_by_name(names):
        added = [tag for tag, tagged in tags.items() if column.name in tagged and tag not in column.tags]
        columns.append(column.with_tags(added) if added else column)
    return Schema(columns)


@dataloader_registry.register_with_multiple_names(
    "merlin_dataloader", "merlin", "nvtabular_dataloader", "nvtabular"
)
@legacy
class MerlinDataLoader(T4RecDataLoader, DLDataLoader):
    """Batches of parquet files, padded to one length; sessions that are longer keep their oldest items.

    Args:
        paths_or_dataset: files, a glob, a table, a data frame or a ``merlin.io.Dataset``.
        batch_size: rows of a batch.
        max_sequence_length: length of list columns; they stay ragged if not given.
        conts: continuous columns.
        cats: categorical columns.
        labels: targets.
        lists: list columns.
        collate_fn: not used, batches come whole.
        engine: not used, files are parquet.
        buffer_size: not used, the loader finds its own.
        reader_kwargs: not used.
        shuffle: whether the order is random.
        seed_fn: gives the seed of the order; drawn from NumPy's generator if not given.
        parts_per_chunk: not used.
        device: not used, the Trainer moves batches.
        global_size: number of processes.
        global_rank: of this process.
        drop_last: leaves out a last batch that is not full.
        schema: of the columns; the dataset's if not given.
        row_groups_per_part: not used.
        transforms: functions of inputs and targets.
        **kwargs: not used.
    """

    def __init__(
        self,
        paths_or_dataset: Any,
        batch_size: int,
        max_sequence_length: int | None = None,
        conts: list[str] | None = None,
        cats: list[str] | None = None,
        labels: list[str] | str | None = None,
        lists: list[str] | None = None,
        collate_fn: Any = None,
        engine: Any = None,
        buffer_size: float = 0.1,
        reader_kwargs: Any = None,
        shuffle: bool = False,
        seed_fn: Callable[[], int] | None = None,
        parts_per_chunk: int = 1,
        device: Any = None,
        global_size: int | None = None,
        global_rank: int | None = None,
        drop_last: bool = False,
        schema: Any = None,
        row_groups_per_part: bool = True,
        transforms: Any = None,
        **kwargs: Any,
    ) -> None:
        conts, cats, lists = conts or [], cats or [], lists or []
        labels = [labels] if isinstance(labels, str) else labels or []
        self.paths_or_dataset = paths_or_dataset
        self.shuffle = shuffle
        self.max_sequence_length = max_sequence_length
        self.schema = schema if schema is not None else getattr(paths_or_dataset, "schema", None)
        if self.schema is None:
            self.schema = Schema.from_parquet(paths_or_dataset)
        names = [*conts, *cats, *labels, *lists] or list(as_schema(self.schema).column_names)
        tags = {Tags.CONTINUOUS: conts, Tags.CATEGORICAL: cats, Tags.TARGET: labels}
        loader = ParquetLoader(
            _source(paths_or_dataset),
            _selected(self.schema, list(dict.fromkeys(names)), tags),
            batch_size=batch_size,
            targets=labels,
            shuffle=shuffle,
            # Every process draws the same: the Trainer seeds NumPy alike on all of them.
            seed=int(seed_fn() if seed_fn else np.random.randint(2**31)) if shuffle else 0,
            max_sequence_length=max_sequence_length,
            keep="oldest",
            drop_last=drop_last,
            empty="keep",
            rank=global_rank,
            world=global_size if global_rank is not None else None,
        )
        if transforms is None or callable(transforms):
            transforms = [transforms] if transforms else []
        DLDataLoader.__init__(
            self, _Batches(loader, labels, max_sequence_length, list(transforms)), batch_size=batch_size
        )

    def set_epoch(self, epoch: int) -> None:
        """Sets the number of the next epoch, which the order depends on."""
        self.dataset.set_epoch(epoch)

    @classmethod
    @legacy
    def from_schema(
        cls,
        schema: Any,
        paths_or_dataset: Any,
        batch_size: int,
        max_sequence_length: int | None = None,
        continuous_features: list[str] | None = None,
        categorical_features: list[str] | None = None,
        list_features: list[str] | None = None,
        targets: list[str] | None = None,
        collate_fn: Any = None,
        shuffle: bool = True,
        buffer_size: float = 0.06,
        parts_per_chunk: int = 1,
        transforms: Any = None,
        **kwargs: Any,
    ) -> MerlinDataLoader:
        """A loader of the columns of a schema, by their tags.

        Args:
            schema: of the columns.
            paths_or_dataset: files, a glob, a table, a data frame or a ``merlin.io.Dataset``.
            batch_size: rows of a batch.
            max_sequence_length: length of list columns.
            continuous_features: columns; those tagged CONTINUOUS if not given.
            categorical_features: columns; those tagged CATEGORICAL if not given.
            list_features: columns; those tagged LIST if not given.
            targets: columns; those tagged TARGET if not given.
            collate_fn: not used.
            shuffle: whether the order is random.
            buffer_size: not used.
            parts_per_chunk: not used.
            transforms: functions of inputs and targets.
            **kwargs: of the loader.
        """

        def names(given: list[str] | None, tag: Any) -> list[str]:
            return given or schema.select_by_tag(tag).column_names

        return cls(
            paths_or_dataset,
            batch_size=batch_size,
            labels=names(targets, Tags.TARGET),
            max_sequence_length=max_sequence_length,
            cats=names(categorical_features, Tags.CATEGORICAL),
            conts=names(continuous_features, Tags.CONTINUOUS),
            lists=names(list_features, Tags.LIST),
            shuffle=shuffle,
            schema=schema,
            transforms=transforms,
            **kwargs,
        )

    @property
    def output_schema(self) -> Schema:
        """The columns that the loader reads."""
        return self.dataset.loader.schema


@dataloader_registry.register_with_multiple_names("pyarrow_builder", "pyarrow")
@legacy
class PyarrowDataLoader(MerlinDataLoader):
    """The same loader; what "pyarrow" was in 23.12.0 read whole files and never shuffled.

    Args:
        paths_or_dataset: files, a glob or a table.
        batch_size: rows of a batch.
        max_sequence_length: length of list columns.
        cols_to_read: columns; all of the schema if not given.
        target_names: those of them that are targets.
        shuffle: not used, as in 23.12.0 without a buffer.
        shuffle_buffer_size: whether to shuffle at all, where it is more than 0.
        num_workers: not used.
        pin_memory: not used.
        drop_last: leaves out a last batch that is not full.
        **kwargs: of :class:`MerlinDataLoader`.
    """

    def __init__(
        self,
        paths_or_dataset: Any,
        batch_size: int,
        max_sequence_length: int | None = None,
        cols_to_read: list[str] | None = None,
        target_names: list[str] | None = None,
        shuffle: bool = False,
        shuffle_buffer_size: int = 0,
        num_workers: int = 1,
        pin_memory: bool = True,
        drop_last: bool = False,
        **kwargs: Any,
    ) -> None:
        targets = target_names or kwargs.pop("labels", None) or []
        lists = [name for name in cols_to_read or [] if name not in targets]
        super().__init__(
            paths_or_dataset,
            batch_size,
            max_sequence_length,
            labels=targets,
            lists=kwargs.pop("lists", None) or lists,
            shuffle=shuffle and shuffle_buffer_size > 0,
            drop_last=drop_last,
            **kwargs,
        )


def to_core_schema(t4rec_schema: Any) -> Schema:
    """Any schema as one of ``merlin_models_torch``."""
    return as_schema(t4rec_schema)
