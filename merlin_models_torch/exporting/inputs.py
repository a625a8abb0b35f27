"""What an exported program takes: tensors by name, with the dimensions that may differ from call to call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.inputs.columns import is_nested
from merlin_models_torch.masking import MaskPlan
from merlin_models_torch.schema import Schema, Tags

Kind = Literal["feature", "length", "filter"]


@dataclass(frozen=True)
class Input:
    """A tensor that the program takes.

    Args:
        name: of the tensor.
        kind: "feature" for a column of the schema, padded with 0 on the right; "length" for how many values
            of each row's sequences are in use; "filter" for item rows, -1 in places that hold none.
        dtype: int64 or float32.
        dims: names of the dimensions; those of one name have one size.
    """

    name: str
    kind: Kind
    dtype: torch.dtype
    dims: tuple[str, ...]

    def example(self, sizes: dict[str, int]) -> Tensor:
        """Ones (no items, for a filter) of the sizes of the dimensions."""
        shape = [sizes[dim] for dim in self.dims]
        return torch.full(shape, -1 if self.kind == "filter" else 1, dtype=self.dtype)


@dataclass(frozen=True)
class OneEach(MaskPlan):
    """A plan for prediction, where each row has one targeted position: the number of answers is the batch's.

    A row without items is answered from its first position.
    """

    def places(self) -> tuple[Tensor, Tensor]:
        """Every row, and its position."""
        rows = torch.arange(self.targeted.shape[0], device=self.targeted.device)
        return rows, self.targeted.long().argmax(1)


@dataclass(frozen=True)
class Sized(Batch):
    """A batch of matrices that come with their lengths, so that a zero may be among the values in use.

    Args:
        sizes: (B,) int64 by name of the list column.
    """

    sizes: Mapping[str, Tensor] = field(default_factory=dict)

    def lengths(self, name: str) -> Tensor:
        """(B,) int64 values of a list column in each row."""
        return self.sizes[name] if name in self.sizes else super().lengths(name)

    def with_plan(self, plan: MaskPlan) -> Sized:
        """The same columns with a plan of one answer for each row."""
        return replace(self, plan=OneEach(**vars(plan)))


@dataclass(frozen=True)
class Filled(Ragged):
    """A list column that comes as a matrix with its lengths, since zeros may be among its numbers.

    Args:
        values: (B, S, ...), filled up on the right.
        offsets: (B,) int64 values of each row that are in use.
    """

    @property
    def lengths(self) -> Tensor:
        """(B,) int64 values in each row."""
        return self.offsets

    def __len__(self) -> int:
        return self.values.shape[0]

    def padded(self, length: int | None = None, *, value: float = 0) -> Tensor:
        """The matrix as it is."""
        return self.values


@dataclass(frozen=True)
class Columns:
    """The columns that a model reads, as inputs of a program.

    Args:
        inputs: features, then lengths.
        leaders: the list column whose length stands for each list column's, by name.
        combined: lists of numbers that become one vector of the row, each with a length of its own.
        longest: positions that sequences may have.
        padded: whether all sequences get that many, for layers whose steps a graph holds one by one.
    """

    inputs: tuple[Input, ...]
    leaders: dict[str, str]
    combined: tuple[str, ...]
    longest: int
    padded: bool = False

    def batch(self, tensors: dict[str, Tensor]) -> Sized:
        """The batch that the model reads of a program's inputs."""
        names = [one.name for one in self.inputs if one.kind == "feature"]
        sizes = {name: tensors[length_name(leader)] for name, leader in self.leaders.items()}
        features: dict[str, Column] = {name: tensors[name] for name in names}
        for name in self.combined:
            features[name] = Filled(tensors[name], tensors[length_name(name)])
        if self.padded:
            features |= {name: self._padded(tensors[name]) for name in self.leaders}
        return Sized(features, sizes=sizes)

    def _padded(self, matrix: Tensor) -> Tensor:
        inner = (0, 0) * (matrix.dim() - 2)
        return torch.nn.functional.pad(matrix, (*inner, 0, self.longest - matrix.shape[1]))

    def tensors(self, batch: Batch) -> dict[str, Tensor]:
        """The inputs of a program, of a batch as a loader gives it; of long sequences the latest values."""
        found: dict[str, Tensor] = {}
        for one in self.inputs:
            if one.kind == "length":
                name = one.name.removesuffix(LENGTH)
                sizes = batch.lengths(name)
                found[one.name] = sizes if name in self.combined else sizes.clamp(max=self.longest)
                continue
            column = batch[one.name]
            if isinstance(column, Ragged):
                column = (column.latest(self.longest) if one.name in self.leaders else column).padded()
            found[one.name] = column.to(one.dtype)
        return found


LENGTH = "__length"


def length_name(column: str) -> str:
    """The input that holds how many values of a sequence are in use."""
    return f"{column}{LENGTH}"


def columns_of(
    blocks: tuple[TabularInputBlock, ...], schema: Schema, *, longest: int, padded: bool = False
) -> Columns:
    """The inputs of a program for the columns of some input blocks; see :class:`Columns`.

    Raises:
        ValueError: if a column cannot be told in a matrix of a fixed kind.
    """
    leaders: dict[str, str] = {}
    for block in blocks:
        if block.sequences:
            leader = str(block.item_id if block.item_id in block.sequences else block.sequences[0])
            leaders.update({name: leader for name in block.sequences if name in schema.column_names})
    lists = {name for block in blocks for name in block.lists}
    together = _weighted(blocks)
    combined = tuple(
        column.name
        for column in schema
        if column.name in lists.difference(leaders, together) and Tags.CATEGORICAL not in column.tags
    )
    features = [*_features(schema, leaders, combined, together)]
    lengths = [
        Input(length_name(name), "length", torch.int64, ("batch",))
        for name in (*dict.fromkeys(leaders.values()), *combined)
    ]
    return Columns((*features, *lengths), leaders, combined, longest, padded)


def _weighted(blocks: tuple[TabularInputBlock, ...]) -> dict[str, str]:
    """For each list with weights, and for its weights, the list whose length stands for all of theirs.

    They need no input that says it: a weight of 0 fills up.
    """
    together: dict[str, str] = {}
    for block in blocks:
        for name, weights in block.list_weights.items():
            together[name] = together.setdefault(weights, name)
    return together


def _features(
    schema: Schema, leaders: dict[str, str], combined: tuple[str, ...], together: dict[str, str]
) -> Iterator[Input]:
    for column in schema:
        name = column.name
        categorical = Tags.CATEGORICAL in column.tags
        dims: tuple[str, ...] = ("batch",)
        if name in leaders:
            dims = ("batch", f"{leaders[name]}_length")
        elif name in together:
            dims = ("batch", f"{together[name]}_length")
        elif column.is_list and not categorical and name not in combined:
            raise ValueError(
                f"column {name!r} is a vector of numbers, which an export does not take: leave it out of the "
                "model, or give it as columns of the row"
            )
        elif column.is_list:
            dims = ("batch", f"{name}_length")
        if not categorical and any(inner.is_variable for inner in tuple(column.shape)[2:]):
            raise ValueError(
                f"column {name!r} has lists of numbers inside lists, of which a matrix does not tell zeros "
                "from padding: leave it out of an export, or give the inner lists one width in the schema"
            )
        if is_nested(column):
            dims = (*dims, f"{name}_inner")
        yield Input(name, "feature", torch.int64 if categorical else torch.float32, dims)
