"""``merlin.models.torch.transforms.agg``: several tensors by name as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from merlin.models._legacy import legacy, served
from merlin.models.torch import schema as of
from merlin.models.torch.batch import Batch
from merlin.models.torch.container import BlockContainer
from merlin.models.torch.registry import registry
from torch import Tensor, nn


@legacy
class AggModule(nn.Module, of.Selectable):
    """What makes one tensor of several."""

    def select(self, selection: Any) -> Any:
        """The module itself for all its columns.

        Raises:
            ValueError: for a part of them, or if they are not known.
        """
        if not hasattr(self, "schema"):
            raise ValueError(f"{type(self).__name__} has no schema yet: trace it, or give it one")
        chosen = of.select(self.schema, selection)
        if chosen == self.schema:
            return self
        raise ValueError(f"{type(self).__name__} of {self.schema.column_names} has no part of some columns")

    def extra_repr(self) -> str:
        """The columns."""
        return ", ".join(self.schema.column_names) if getattr(self, "schema", None) else ""


@registry.register("concat")
@legacy
class Concat(AggModule):
    """Tensors side by side, in the order of their names.

    Args:
        dim: dimension to join.
        align_dims: tensors that have fewer dimensions than others get a last one.
    """

    def __init__(self, dim: int = -1, align_dims: bool = True) -> None:
        super().__init__()
        self.dim, self.align_dims = dim, align_dims

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """One float32 tensor.

        Raises:
            RuntimeError: if the shapes do not fit.
        """
        tensors = [inputs[name] for name in sorted(inputs)]
        if self.align_dims:
            most = max(2, *(tensor.dim() for tensor in tensors))
            tensors = [t.unsqueeze(-1) if t.dim() < most else t for t in tensors]
        if self.dim > 0:
            rest = {tuple(t.shape[: self.dim] + t.shape[self.dim + 1 :]) for t in tensors}
            if len(rest) > 1:
                raise RuntimeError(f"tensors joined in dimension {self.dim} differ in others: {sorted(rest)}")
        return torch.cat(tensors, dim=self.dim).float()


@registry.register("stack")
@legacy
class Stack(AggModule):
    """Tensors of one shape in a new dimension, in the order of their names.

    Args:
        dim: where the new dimension is.
    """

    def __init__(self, dim: int = 0) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """One float32 tensor.

        Raises:
            RuntimeError: if the shapes differ.
        """
        shapes = {name: tuple(inputs[name].shape) for name in sorted(inputs)}
        if len(set(shapes.values())) > 1:
            raise RuntimeError(f"tensors of one shape are stacked, got {shapes}: project them to one")
        return torch.stack([inputs[name] for name in shapes], self.dim).float()


@registry.register("element-wise-sum")
@legacy
class ElementWiseSum(AggModule):
    """The sum of tensors of one shape."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = Stack(dim=0)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """One float32 tensor of the shape of each."""
        total: Tensor = self.stack(inputs).sum(dim=0)
        return total


@legacy
class MaybeAgg(BlockContainer):
    """An aggregation where there is a dict; a tensor comes as it is.

    Args:
        agg: the aggregation.
    """

    def __init__(self, agg: nn.Module) -> None:
        super().__init__(agg)

    def forward(self, inputs: Any, batch: Batch | None = None) -> Tensor:
        """One tensor.

        Raises:
            RuntimeError: if there is neither.
        """
        if isinstance(inputs, dict):
            return self.values[0](inputs)  # type: ignore[no-any-return]
        if not isinstance(inputs, Tensor):
            raise RuntimeError(f"a tensor or tensors by name are joined, got a {type(inputs).__name__}")
        return inputs


__getattr__ = served(__name__)
