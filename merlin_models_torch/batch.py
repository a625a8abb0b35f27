"""What flows through a model: columns of one batch, list columns ragged, and how they become matrices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from merlin_models_torch.masking.plan import MaskPlan


@dataclass(frozen=True)
class Ragged:
    """A list column as Arrow stores it: the values of all rows in one tensor, and where each row starts.

    Args:
        values: (L, ...) values of all rows, one row after the other.
        offsets: (B + 1,) int64, row ``b`` is ``values[offsets[b]:offsets[b + 1]]``; ``offsets[0]`` is 0.

    Example:
        >>> items = Ragged(torch.tensor([5, 6, 7, 8]), torch.tensor([0, 3, 3, 4]))  # three rows, one empty
        >>> items.lengths
        tensor([3, 0, 1])
        >>> items.latest(2).padded()
        tensor([[6, 7],
                [0, 0],
                [8, 0]])
    """

    values: Tensor
    offsets: Tensor

    @property
    def lengths(self) -> Tensor:
        """(B,) int64 values in each row."""
        return self.offsets[1:] - self.offsets[:-1]

    def __len__(self) -> int:
        return self.offsets.shape[0] - 1

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Ragged:
        """The same column on another device."""
        return Ragged(
            self.values.to(device, non_blocking=non_blocking),
            self.offsets.to(device, non_blocking=non_blocking),
        )

    def padded(self, length: int | None = None, *, value: float = 0) -> Tensor:
        """The rows as a matrix, padded on the right.

        Args:
            length: columns of the matrix; the longest row if not given.
            value: what fills the places after the end of a row.

        Returns:
            (B, T, ...) of the dtype of ``values``.

        Raises:
            ValueError: if a row is longer than ``length``.
        """
        lengths = self.lengths
        longest = int(lengths.max()) if len(self) else 0
        if length is None:
            length = longest
        elif longest > length:
            raise ValueError(
                f"a row has {longest} values and should be padded to {length}: shorten the rows first"
            )
        shape = (len(self), length, *self.values.shape[1:])
        if not self.values.shape[0]:
            return self.values.new_full(shape, value)
        steps = torch.arange(length, device=self.values.device)
        inside = steps < lengths[:, None]
        source = torch.where(inside, self.offsets[:-1, None] + steps, 0)
        inside = inside.view(*inside.shape, *(1,) * (self.values.dim() - 1))
        return torch.where(inside, self.values[source], value).to(self.values.dtype)

    def latest(self, count: int) -> Ragged:
        """Only the last ``count`` values of each row."""
        lengths = self.lengths
        if not len(self) or int(lengths.max()) <= count:
            return self
        kept = lengths.clamp(max=count)
        offsets = torch.nn.functional.pad(kept.cumsum(0), (1, 0))
        rows = torch.repeat_interleave(torch.arange(len(self), device=kept.device), kept)
        steps = torch.arange(rows.shape[0], device=kept.device) - offsets[rows]
        return Ragged(self.values[self.offsets[1:][rows] - kept[rows] + steps], offsets)

    @classmethod
    def from_padded(cls, matrix: Tensor, lengths: Tensor) -> Ragged:
        """The first ``lengths[b]`` columns of each row.

        Args:
            matrix: (B, T, ...).
            lengths: (B,) int64, none larger than T.
        """
        inside = torch.arange(matrix.shape[1], device=matrix.device) < lengths[:, None]
        offsets = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
        return cls(matrix[inside], offsets)


Column = Tensor | Ragged


def _moved(
    columns: Mapping[str, Column], device: torch.device | str, non_blocking: bool
) -> dict[str, Column]:
    return {name: column.to(device, non_blocking=non_blocking) for name, column in columns.items()}


@dataclass(frozen=True)
class Batch:
    """Columns of some rows of a table, as tensors. Never changed in place.

    Args:
        features: inputs by column name: (B,) or (B, D) tensors for scalar columns, :class:`Ragged` for lists.
            (B, T) tensors are taken for lists already padded with 0.
        targets: labels by column name, of the same kinds.
        plan: what the masking made of the item sequence; absent before masking.
        rows: (B,) int64 number of each row in the data it was read from, so that answers find their keys.
        read_at_targets: a block of which only what it gives at the plan's targeted positions will be read, so
            that it may leave out the others; the model says so.
        filler: whether the batch only gives a process something to do while others have rows left; its one
            row has the number -1 and counts neither in training nor in figures and answers.

    Example:
        >>> items = Ragged(torch.tensor([5, 6, 7]), torch.tensor([0, 2, 3]))
        >>> rows = Batch({"item_id": items, "age": torch.tensor([0.3, 0.5])})
        >>> len(rows), rows.lengths("item_id").tolist()
        (2, [2, 1])
        >>> rows.padded("item_id")
        tensor([[5, 6],
                [7, 0]])
        >>> older = rows.with_features({"age": rows["age"] + 1})  # another batch
        >>> older["age"], rows["age"]
        (tensor([1.3000, 1.5000]), tensor([0.3000, 0.5000]))
    """

    features: Mapping[str, Column]
    targets: Mapping[str, Column] = field(default_factory=dict)
    plan: MaskPlan | None = None
    rows: Tensor | None = None
    read_at_targets: nn.Module | None = field(default=None, repr=False, compare=False)
    filler: bool = False

    def __len__(self) -> int:
        return len(next(iter(self.features.values())))

    def __getitem__(self, name: str) -> Column:
        try:
            return self.features[name]
        except KeyError:
            raise KeyError(
                f"the batch has no column {name!r}, only {sorted(self.features)}: "
                "add it to the schema or the data"
            ) from None

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """The same batch on another device."""
        return replace(
            self,
            features=_moved(self.features, device, non_blocking),
            targets=_moved(self.targets, device, non_blocking),
            plan=None if self.plan is None else self.plan.to(device, non_blocking=non_blocking),
            rows=None if self.rows is None else self.rows.to(device, non_blocking=non_blocking),
        )

    def with_plan(self, plan: MaskPlan) -> Batch:
        """The same columns with a masking plan."""
        return replace(self, plan=plan)

    def with_features(self, features: Mapping[str, Column]) -> Batch:
        """The same batch with these features added or replaced."""
        return replace(self, features={**self.features, **features})

    def select(self, names: Iterable[str]) -> Batch:
        """The same batch with only these features.

        Raises:
            KeyError: if one of them is missing.
        """
        return replace(self, features={name: self[name] for name in names})

    def padded(self, name: str, length: int | None = None) -> Tensor:
        """A list column as a matrix padded with 0: (B, T), T the longest row unless ``length`` is given."""
        column = self[name]
        if isinstance(column, Ragged):
            return column.padded(length)
        if length is not None and column.dim() > 1 and column.shape[1] != length:
            if column.shape[1] > length:
                raise ValueError(
                    f"column {name!r} has {column.shape[1]} positions, not {length}: shorten the rows first"
                )
            return torch.nn.functional.pad(column, (0, length - column.shape[1]))
        return column

    def lengths(self, name: str) -> Tensor:
        """(B,) int64 values of a list column in each row; of a padded matrix, up to its last non-zero."""
        column = self[name]
        if isinstance(column, Ragged):
            return column.lengths
        if column.shape[1] == 0:
            return torch.zeros(len(column), dtype=torch.int64, device=column.device)
        steps = torch.arange(1, column.shape[1] + 1, device=column.device)
        return ((column != 0) * steps).amax(1)
