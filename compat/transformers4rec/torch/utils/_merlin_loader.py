"""The loader that stands for merlin-dataloader's, named "merlin" and "nvtabular"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from merlin.schema import Tags

import merlin_models_torch as mm
from merlin_models_torch.schema import Schema
from transformers4rec._legacy import legacy
from transformers4rec.torch.utils._batches import Batches, schema_of, selected, source_of
from transformers4rec.torch.utils._loaders import DLDataLoader, T4RecDataLoader, dataloader_registry, only


@dataloader_registry.register_with_multiple_names(
    "merlin_dataloader", "merlin", "nvtabular_dataloader", "nvtabular"
)
@legacy(home="transformers4rec.torch.utils.data_utils")
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
        collate_fn: given a list of one batch, gives the batch.
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
        transforms: operators such as ``EmbeddingOperator``, and functions of inputs and targets.
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
        collate_fn: Callable[[list[Any]], Any] = only,
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
        self.set_dataset(buffer_size, engine, reader_kwargs, schema=schema)
        names = [*conts, *cats, *labels, *lists] or self.schema.column_names
        tags = {Tags.CONTINUOUS: conts, Tags.CATEGORICAL: cats, Tags.TARGET: labels}
        loader = mm.ParquetLoader(
            source_of(paths_or_dataset),
            selected(self.schema, names, tags),
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
        batches = Batches(loader, length=max_sequence_length, transforms=transforms)
        rows = {"batch_size": batch_size, "drop_last": drop_last}
        DLDataLoader.__init__(self, batches, collate_fn=collate_fn, **rows)

    def set_dataset(self, buffer_size: Any, engine: Any, reader_kwargs: Any, schema: Any = None) -> None:
        """Finds the schema of the data.

        Args:
            buffer_size: not used.
            engine: not used.
            reader_kwargs: not used.
            schema: taken where it is given.
        """
        self.schema = schema_of(schema, self.paths_or_dataset)

    @classmethod
    @legacy(home="transformers4rec.torch.utils.data_utils")
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
        collate_fn: Callable[[list[Any]], Any] = only,
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
            collate_fn: given a list of one batch, gives the batch.
            shuffle: whether the order is random.
            buffer_size: not used.
            parts_per_chunk: not used.
            transforms: operators such as ``EmbeddingOperator``, and functions of inputs and targets.
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
            collate_fn=collate_fn,
            shuffle=shuffle,
            schema=schema,
            transforms=transforms,
            **kwargs,
        )

    @property
    def output_schema(self) -> Schema:
        """The columns that the loader gives."""
        return self.dataset.output_schema
