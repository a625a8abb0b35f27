"""``merlin.models.torch.transforms.sequences``: lists of a batch as matrices, next items as targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from merlin.models._legacy import legacy, served
from merlin.models.torch import schema as of
from merlin.models.torch.batch import Batch, Sequence
from merlin.models.torch.block import BatchBlock
from merlin.models.torch.router import RouterBlock
from merlin.schema import Tags
from torch import Tensor, nn

from merlin_models_torch.batch import Ragged

_VALUES, _OFFSETS = "__values", "__offsets"


@legacy
class TabularPadding(BatchBlock):
    """Lists padded with 0 on the right.

    Args:
        schema: of the columns.
        selection: the columns to pad, all if None; the others are left out of the batch, as in 23.12.
        max_sequence_length: width of the matrices; the longest list of the batch if not given.
        name: shown when the block is printed.
    """

    def __init__(
        self,
        schema: Any = None,
        selection: Any = Tags.SEQUENCE,
        max_sequence_length: int | None = None,
        name: str | None = None,
    ) -> None:
        padding = TabularPaddingModule(schema, selection, max_sequence_length)
        first: nn.Module = padding
        if selection is not None:
            first = RouterBlock(schema).add_route(selection, padding)
        super().__init__(first, name=name)


@legacy
class TabularPaddingModule(nn.Module):
    """What :class:`TabularPadding` does.

    Args:
        schema: the columns to pad.
        selection: of these, if not all.
        max_sequence_length: width of the matrices.
    """

    padding_idx = 0

    def __init__(
        self, schema: Any = None, selection: Any = Tags.SEQUENCE, max_sequence_length: int | None = None
    ) -> None:
        super().__init__()
        self.selection = selection
        self.max_sequence_length = max_sequence_length
        self.features: list[str] = []
        self.seq_features: list[str] = []
        if schema:
            self.initialize_from_schema(schema)
            self._initialized_from_schema = True

    def initialize_from_schema(self, schema: Any) -> None:
        """Sets the columns."""
        self.schema = schema
        self.features = schema.column_names
        self.seq_features = (
            of.select(schema, self.selection).column_names if self.selection else self.features
        )

    def forward(self, inputs: Any, batch: Batch) -> Batch:
        """A batch of matrices, and the lengths of the lists.

        Raises:
            RuntimeError: if the inputs are not by name.
            ValueError: if the lists of a row differ in length.
        """
        if not isinstance(inputs, dict):
            raise RuntimeError(f"lists are padded by name, got a {type(inputs).__name__}: pass a dict")
        lengths = self._lengths(inputs)
        first = next(iter(lengths.values()), None)
        if first is None or any(not torch.equal(other, first) for other in lengths.values()):
            raise ValueError(f"lists of one length in each row are padded together, got {sorted(lengths)}")
        width = self.max_sequence_length
        if width is None:
            width = max(
                (int(lengths[k.removesuffix(_OFFSETS)].max()) for k in inputs if _OFFSETS in k), default=0
            )
        padded = {}
        for key, value in batch.features.items():
            name = key.removesuffix(_OFFSETS)
            if key.endswith(_VALUES) or name not in self.features:
                continue
            if key.endswith(_OFFSETS):
                padded[name] = _matrix(batch.features, name, width)
            elif name in lengths:
                padded[name] = _widened(value, width)
        targets = {
            key.removesuffix(_OFFSETS): _matrix(batch.targets, key.removesuffix(_OFFSETS), width)
            if key.endswith(_OFFSETS)
            else value
            for key, value in batch.targets.items()
            if not key.endswith(_VALUES)
        }
        return Batch(padded, targets, Sequence(lengths))

    def _lengths(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for key, value in inputs.items():
            if key.endswith(_OFFSETS):
                found[key.removesuffix(_OFFSETS)] = value[1:] - value[:-1]
            elif key in self.seq_features:
                found[key] = (value != self.padding_idx).sum(-1)
        return found


def _matrix(columns: Mapping[str, Any], name: str, width: int) -> Tensor:
    values, offsets = (columns[name + end] for end in (_VALUES, _OFFSETS))
    values, offsets = (t.squeeze(1) if t.dim() == 2 else t for t in (values, offsets))
    return _widened(Ragged(values, offsets).padded(), width)


def _widened(matrix: Tensor, width: int) -> Tensor:
    """(B, width); longer rows are cut, as a negative padding does."""
    return F.pad(matrix, (0, width - matrix.shape[1])) if matrix.dim() == 2 else matrix


@legacy
class BroadcastToSequence(nn.Module, of.LazySchemaModuleMixin):
    """Vectors of rows repeated at every position of the sequences beside them.

    Args:
        to_broadcast: what is repeated.
        sequence: what has positions.
        schema: of the columns; given later by what the block is put in if None.
    """

    def __init__(self, to_broadcast: Any, sequence: Any, schema: Any = None) -> None:
        super().__init__()
        self.to_broadcast, self.sequence = to_broadcast, sequence
        self.to_broadcast_features: list[str] = []
        self.sequence_features: list[str] = []
        if schema:
            self.initialize_from_schema(schema)

    def initialize_from_schema(self, schema: Any) -> None:
        """Finds the columns."""
        super().initialize_from_schema(schema)
        self.schema = schema
        self.to_broadcast_features = of.select(schema, self.to_broadcast).column_names
        self.sequence_features = of.select(schema, self.sequence).column_names

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """(B, D) to (B, T, D), and (B,) to (B, T), for what is repeated.

        Raises:
            RuntimeError: if what is repeated has positions of its own, or there is no sequence.
        """
        steps = self.get_seq_length(inputs)
        return {
            name: self._repeated(tensor, steps) if name in self.to_broadcast_features else tensor
            for name, tensor in inputs.items()
        }

    def _repeated(self, tensor: Tensor, steps: int) -> Tensor:
        if tensor.dim() not in (1, 2):
            raise RuntimeError(f"what is repeated at each position has 1 or 2 dimensions, not {tensor.dim()}")
        return tensor.unsqueeze(1).repeat(1, steps, *([1] if tensor.dim() == 2 else []))

    def get_seq_length(self, inputs: Mapping[str, Tensor]) -> int:
        """Positions of the first of the sequences.

        Raises:
            RuntimeError: if the sequences are not known.
        """
        if not self.sequence_features:
            raise RuntimeError(f"no column fits {self.sequence!r}: give a schema with the sequences")
        first = self.sequence_features[0]
        if first + _OFFSETS in inputs:
            return int(inputs[first + _OFFSETS][-1])
        return inputs[first].shape[1]


@legacy
class TabularSequenceTransform(nn.Module):
    """What makes targets of sequences.

    Args:
        target: columns of which they are made.
        schema: of the sequences.
        apply_padding: whether lists become matrices first.
        max_sequence_length: width of these.

    Raises:
        ValueError: if no column fits ``target``.
    """

    padding_idx = 0

    def __init__(
        self,
        target: Any = Tags.ID,
        schema: Any = None,
        apply_padding: bool = True,
        max_sequence_length: int | None = None,
    ) -> None:
        super().__init__()
        self.target = target
        if schema:
            self.initialize_from_schema(schema)
            self._initialized_from_schema = True
        self.apply_padding = apply_padding
        if apply_padding:
            self.padding_operator = TabularPadding(
                schema=self.schema, max_sequence_length=max_sequence_length
            )

    def initialize_from_schema(self, schema: Any) -> None:
        """Finds the columns."""
        self.schema = schema
        self.features: list[str] = schema.column_names
        targets = of.select(schema, self.target)
        if not targets:
            raise ValueError(f"no column fits {self.target!r}, there are {schema.column_names}")
        self.target_name: list[str] = targets.column_names

    def forward(self, inputs: Any, batch: Batch, **kwargs: Any) -> Batch:
        """A batch with targets."""
        raise NotImplementedError(f"{type(self).__name__} makes no targets: write forward")

    def _check(self, batch: Batch) -> None:
        if not batch.sequences.lengths:
            raise ValueError("the batch has no lengths of sequences: pad it first, or give sequences")
        lengths = [batch.sequences.length(name) for name in self.features]
        if any(not torch.equal(other, lengths[0]) for other in lengths):
            raise AssertionError(f"the sequences {self.features} of a row are not of one length")
        for name in self.target_name:
            if name not in batch.features:
                raise ValueError(f"the batch has no target {name!r}, only {sorted(batch.features)}")
            if batch.features[name].dim() < 2:  # type: ignore[union-attr]
                raise ValueError(f"the target {name!r} has no positions: pad it first")
            if bool((batch.sequences.length(name) <= 1).any()):
                raise ValueError(f"a row of the target {name!r} has one item, after which none comes")


@legacy
class TabularPredictNextModule(TabularSequenceTransform):
    """What :class:`TabularPredictNext` does."""

    def forward(self, inputs: Any, batch: Batch) -> Batch:
        """All but the last position as inputs, all but the first of the targets as targets.

        Raises:
            ValueError: if a row has no next item.
        """
        if self.apply_padding:
            batch = self.padding_operator(batch)
        self._check(batch)
        columns: Any = batch.features
        targets = {name: columns[name][:, 1:] for name in self.target_name}
        features = {name: value[:, :-1] for name, value in columns.items() if name in self.features}
        lengths = {name: batch.sequences.lengths[name] - 1 for name in self.features}
        steps = torch.arange(next(iter(targets.values())).shape[-1])
        mask = steps[None, :] < next(iter(lengths.values()))[:, None]
        return Batch(features, targets, Sequence(lengths, dict.fromkeys(self.features, mask)))


@legacy
class TabularPredictNext(BatchBlock):
    """At each position the next item is the target.

    Args:
        target: columns of which the targets are made.
        schema: of the sequences.
        apply_padding: whether lists become matrices first.
        max_sequence_length: width of these.
        name: shown when the block is printed.
    """

    def __init__(
        self,
        target: Any = Tags.ID,
        schema: Any = None,
        apply_padding: bool = True,
        max_sequence_length: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            TabularPredictNextModule(target, schema, apply_padding, max_sequence_length), name=name
        )


__getattr__ = served(__name__)
