"""Batches as Transformers4Rec's loaders give them, from ``merlin_models_torch.data.ParquetLoader``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from merlin_models_torch.batch import Ragged
from merlin_models_torch.schema import Schema, Tags, as_schema
from transformers4rec._legacy import tell_once
from transformers4rec.torch.utils._operators import Operators, is_operator

if TYPE_CHECKING:
    from merlin_models_torch.data import ParquetLoader

Pair = tuple[dict[str, Tensor], Any]


class Batches(IterableDataset):
    """Pairs of inputs and targets.

    Args:
        loader: what reads the rows.
        length: list columns become matrices of so many positions; they stay ragged without it.
        named_targets: whether targets always come by name; else one comes bare, and none as None.
        transforms: operators, which change the inputs before they are padded, and functions of inputs and
            targets, which come after; each kind one after the other.
    """

    def __init__(
        self,
        loader: ParquetLoader,
        *,
        length: int | None = None,
        named_targets: bool = False,
        transforms: Any = None,
    ) -> None:
        self.loader = loader
        self.length = length
        self.named_targets = named_targets
        given = (
            list(transforms)
            if isinstance(transforms, list | tuple)
            else [transforms] * (transforms is not None)
        )
        operators = [transform for transform in given if is_operator(transform)]
        self.transforms = [transform for transform in given if not is_operator(transform)]
        if wrong := [type(transform).__name__ for transform in self.transforms if not callable(transform)]:
            raise TypeError(
                f"transforms has a {wrong[0]}, expected operators of merlin.dag or functions of inputs and "
                "targets: give them in a list, without a graph"
            )
        inputs = loader.schema.excluding_by_tag(Tags.TARGET)
        self.operators = Operators(operators, inputs) if operators else None

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Pair]:
        for batch in self.loader:
            pair = self._inputs(batch.features), self._targets(columns(batch.targets, self.length))
            for transform in self.transforms:
                pair = transform(*pair)
            yield pair

    def map(self, transform: Callable[[dict[str, Tensor], Any], Pair]) -> Batches:
        """Adds a function of inputs and targets.

        Args:
            transform: gives the new pair.
        """
        self.transforms.append(transform)
        return self

    def set_epoch(self, epoch: int) -> None:
        """Sets the number of the next epoch, which the order depends on."""
        self.loader.set_epoch(epoch)

    @property
    def output_schema(self) -> Schema:
        """The columns that are read; after operators the inputs that they give."""
        return self.loader.schema if self.operators is None else self.operators.schema

    @property
    def sparse_max(self) -> dict[str, int]:
        """Length of each list column, which programs of before 22.12 read from ``loader.dataset``."""
        tell_once(
            "sparse_max",
            "sparse_max is gone since 22.12: write {name: max_sequence_length} for the list columns of the "
            "schema",
        )
        lists = [column.name for column in self.loader.schema if column.is_list]
        return {} if self.length is None else dict.fromkeys(lists, self.length)

    def _inputs(self, features: Any) -> dict[str, Tensor]:
        if self.operators is None:
            return columns(features, self.length)
        changed = self.operators(features)
        # Vectors of a row are no positions: what an operator adds is padded where it is tagged a list.
        lists = {column.name for column in self.operators.schema if Tags.LIST in column.tags}
        padded = {name: column for name, column in changed.items() if name in features or name in lists}
        return {**columns(padded, self.length), **columns(_without(changed, padded), None)}

    def _targets(self, named: dict[str, Tensor]) -> Any:
        if self.named_targets or len(named) > 1:
            return named
        return next(iter(named.values()), None)


def _without(given: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    return {name: column for name, column in given.items() if name not in others}


def columns(given: Any, length: int | None) -> dict[str, Tensor]:
    """Tensors by column name.

    Args:
        given: tensors and ragged columns by name.
        length: of list columns, (B, length) each, 0 behind the end of a row. Without it they stay ragged, in
            two tensors ``<name>__values`` and ``<name>__offsets``.
    """
    tensors: dict[str, Tensor] = {}
    for name, column in given.items():
        if length is None and isinstance(column, Ragged):
            tensors |= {f"{name}__values": column.values, f"{name}__offsets": column.offsets}
            continue
        matrix = column.padded() if isinstance(column, Ragged) else column
        if length is not None and matrix.dim() > 1:
            after = (0, 0) * (matrix.dim() - 2) + (0, length - matrix.shape[1])
            matrix = torch.nn.functional.pad(matrix, after)
        tensors[name] = matrix
    return tensors


def source_of(paths_or_dataset: Any) -> Any:
    """What the core's loader reads: paths, tables and data frames as they are, the inside of a Dataset."""
    source = getattr(paths_or_dataset, "source", None)
    if source is not None:
        return source
    if hasattr(paths_or_dataset, "to_ddf"):
        return paths_or_dataset.to_ddf().compute()
    return paths_or_dataset


def schema_of(schema: Any, paths_or_dataset: Any) -> Any:
    """The schema that is given, that of a Dataset, or one inferred from the files."""
    if schema is None:
        schema = getattr(paths_or_dataset, "schema", None)
    return Schema.from_parquet(paths_or_dataset) if schema is None else schema


def selected(schema: Any, names: list[str], tags: dict[Any, list[str]]) -> Schema:
    """Some columns of a schema in the order of their names, tagged as a caller says.

    Args:
        schema: of any kind.
        names: the columns; may repeat.
        tags: columns by the tag that they get.
    """
    chosen = []
    given = {column.name: column for column in as_schema(schema).select_by_name(list(dict.fromkeys(names)))}
    for column in (given[name] for name in dict.fromkeys(names) if name in given):
        added = [tag for tag, tagged in tags.items() if column.name in tagged and tag not in column.tags]
        chosen.append(column.with_tags(added) if added else column)
    return Schema(chosen)
