"""Columns of a table to vectors: embeddings, continuous columns, their aggregation, and masking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.inputs.mask_vector import MaskVector
from merlin_models_torch.masking import Masking, MaskPlan, Mode
from merlin_models_torch.schema import Schema, Tags
from merlin_models_torch.serialize import serializable

Aggregation = Literal["concat", "sum", "mean"]


@serializable
class TabularInputBlock(nn.Module):
    """The categorical and continuous columns of a schema as one vector for each row or position.

    Categorical columns are looked up in embedding tables, one for each domain, so that columns of one domain
    share theirs. If the schema has list columns the block works on sequences: all lists of a row go together,
    position by position, and scalar columns are repeated at every position. Vectors are aggregated in the
    order of column names.

    Args:
        schema: columns to use; those tagged as target are left out, and those neither categorical nor
            continuous.
        embedding_dim: width of the tables, one for all or by domain name (64 where a name is missing).
        aggregation: "concat", or the "sum" or "mean" of vectors of one width.
        continuous_projection: widths of an MLP over all continuous columns together; without it each is one
            number.
        projection: module applied to the aggregated vectors, or the width of an :class:`MLPBlock`.
        masking: how sequences are masked; needs a list column tagged as item id.
        max_sequence_length: only this many latest items of each sequence are visible.
        pad_to: positions to pad to instead of the longest of the batch. Only matters for legacy equality.
        dropout: share of the resulting numbers set to zero in training.
        init_std: standard deviation of the tables' normal initial values.

    Raises:
        ValueError: if the schema has no column to use, or masking finds no item-id list.

    Example:
        >>> schema = Schema.load("schema.pbtxt")  # doctest: +SKIP
        >>> inputs = TabularInputBlock(schema, masking=CausalMasking())  # doctest: +SKIP
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int | Mapping[str, int] = 64,
        aggregation: Aggregation = "concat",
        continuous_projection: int | Sequence[int] | None = None,
        projection: nn.Module | int | None = None,
        masking: Masking | None = None,
        max_sequence_length: int | None = None,
        pad_to: int | None = None,
        dropout: float = 0.0,
        init_std: float = 0.05,
    ) -> None:
        super().__init__()
        if aggregation not in ("concat", "sum", "mean"):
            raise ValueError(f"aggregation must be 'concat', 'sum' or 'mean', got {aggregation!r}")
        usable = schema.excluding_by_tag(Tags.TARGET)
        self.categorical = usable.select_by_tag(Tags.CATEGORICAL).column_names
        self.continuous = usable.select_by_tag(Tags.CONTINUOUS).column_names
        if not self.categorical and not self.continuous:
            raise ValueError(
                f"the schema has no categorical or continuous column to use, only {schema.column_names}: "
                "tag its columns with Tags.CATEGORICAL or Tags.CONTINUOUS"
            )
        self.schema = schema.select_by_name([*self.categorical, *self.continuous])
        self.sequences = [c.name for c in self.schema if c.is_list]
        self.item_id = self._find_item_id()
        self.keys = [c.name for c in schema.select(Tags.ID) if not c.is_list and c.name != self.item_id]
        if masking is not None and self.item_id not in self.sequences:
            raise ValueError(
                "masking needs a list column tagged Tags.ITEM_ID; "
                f"the schema has {self.item_id or 'none'} among {self.schema.column_names}"
            )
        self.masking = masking
        self.aggregation = aggregation
        self.max_sequence_length = max_sequence_length
        self.pad_to = pad_to

        self.domains = {name: schema.domain_name(name) for name in self.categorical}
        sizes: dict[str, int] = {}
        for name, domain in self.domains.items():
            sizes[domain] = max(sizes.get(domain, 0), schema.cardinality(name))
        unknown = [] if isinstance(embedding_dim, int) else [d for d in embedding_dim if d not in sizes]
        if unknown:
            raise ValueError(f"embedding_dim names {unknown[0]!r}, but the domains are {sorted(sizes)}")
        self.tables = nn.ModuleDict()
        for domain, size in sizes.items():
            width = embedding_dim if isinstance(embedding_dim, int) else embedding_dim.get(domain, 64)
            self.tables[domain] = _table(size, width, init_std)
        self.continuous_projection: nn.Module | None = None
        if continuous_projection is not None and self.continuous:
            units = (
                [continuous_projection] if isinstance(continuous_projection, int) else continuous_projection
            )
            self.continuous_projection = MLPBlock(list(units))
        self.projection = MLPBlock([projection]) if isinstance(projection, int) else projection
        self.mask_vector = MaskVector() if masking is not None else None
        self.dropout = nn.Dropout(dropout)

    def _find_item_id(self) -> str | None:
        names = self.schema.select_by_tag(Tags.ITEM_ID).column_names
        lists = [name for name in names if name in self.sequences]
        return next(iter(lists or names), None)

    @property
    def item_table(self) -> nn.Embedding:
        """The embedding table of the items.

        Raises:
            ValueError: if no column is tagged as item id.
        """
        if self.item_id is None:
            raise ValueError(f"no column is tagged Tags.ITEM_ID among {self.schema.column_names}")
        table = self.tables[self.domains[self.item_id]]
        if not isinstance(table, nn.Embedding):
            raise TypeError(f"the item table is a {type(table).__name__}, expected nn.Embedding")
        return table

    def prepare(self, batch: Batch, *, limit: int | None = None) -> tuple[Batch, Tensor | None]:
        """Cuts and pads the sequences of a batch to one matrix width.

        Args:
            batch: as a loader gives it.
            limit: latest positions to keep; ``max_sequence_length`` if not given.

        Returns:
            The batch with (B, T) features, and the (B,) lengths, or None if there is no sequence.

        Raises:
            KeyError: if a column of the schema is missing.
        """
        batch = batch.select(self.schema.column_names)
        if not self.sequences:
            return batch, None
        lengths = batch.lengths(self.item_id or self.sequences[0])
        limit = limit or self.max_sequence_length
        columns = {name: _latest(batch[name], lengths, limit) for name in self.sequences}
        if limit is not None:
            lengths = lengths.clamp(max=limit)
        batch = batch.with_features(columns)
        width = self.pad_to or max(_width(column) for column in columns.values())
        return batch.with_features({name: batch.padded(name, width) for name in columns}), lengths

    def for_training(self, batch: Batch, *, generator: torch.Generator | None = None) -> Batch:
        """The prepared batch with the plan of a training step; ``generator`` makes the random choices."""
        return self._planned(batch, "train", lambda m, ids, n: m.train(ids, n, generator=generator))

    def for_evaluation(self, batch: Batch) -> Batch:
        """The prepared batch with the plan of evaluation: known last items are hidden and predicted."""
        return self._planned(batch, "evaluate", lambda m, ids, n: m.evaluate(ids, n))

    def for_prediction(self, batch: Batch) -> Batch:
        """The prepared batch with the plan of prediction: what follows the last item."""
        return self._planned(batch, "predict", lambda m, ids, n: m.predict(ids, n))

    def _planned(
        self, batch: Batch, mode: Mode, plan: Callable[[Masking, Tensor, Tensor], MaskPlan]
    ) -> Batch:
        limit = self.max_sequence_length
        if self.masking is not None and limit is not None:
            limit = self.masking.window(mode, limit)
        if limit is not None and self.pad_to is not None:
            limit = min(limit, self.pad_to)
        batch, lengths = self.prepare(batch, limit=limit)
        if self.masking is None or lengths is None or self.item_id is None:
            return batch
        return batch.with_plan(plan(self.masking, batch.padded(self.item_id), lengths))

    def forward(self, batch: Batch) -> Tensor:
        """Vectors of the prepared batch.

        Args:
            batch: prepared, with a plan if sequences are masked.

        Returns:
            (B, D) float, or (B, T, D) if the schema has list columns.
        """
        vectors = {name: self.tables[domain](batch[name]) for name, domain in self.domains.items()}
        numbers = {name: self._number(batch[name]) for name in self.continuous}
        if self.continuous_projection is not None:
            joined = torch.cat([numbers[name] for name in sorted(numbers)], -1)
            numbers = {"continuous_projection": self.continuous_projection(joined)}
        outputs = self._aggregate({**vectors, **numbers})
        if self.projection is not None:
            outputs = self.projection(outputs)
        if self.mask_vector is not None and batch.plan is not None:
            outputs = self.mask_vector(outputs, batch.plan)
        result: Tensor = self.dropout(outputs)
        return result

    @staticmethod
    def _number(column: Column) -> Tensor:
        if isinstance(column, Ragged):
            raise TypeError("a list column is still ragged: call prepare() on the batch before forward()")
        return column.to(torch.get_default_dtype())[..., None]

    def _aggregate(self, vectors: Mapping[str, Tensor]) -> Tensor:
        ordered = [vectors[name] for name in sorted(vectors)]
        steps = max((v.shape[1] for v in ordered if v.dim() == 3), default=0)
        if steps:
            ordered = [v if v.dim() == 3 else v[:, None].expand(-1, steps, -1) for v in ordered]
        if self.aggregation == "concat":
            return torch.cat(ordered, -1)
        widths = {name: v.shape[-1] for name, v in vectors.items()}
        if len(set(widths.values())) > 1:
            raise ValueError(f"aggregation {self.aggregation!r} needs vectors of one width, got {widths}")
        total = torch.stack(ordered).sum(0)
        return total if self.aggregation == "sum" else total / len(ordered)


def _table(cardinality: int, width: int, std: float) -> nn.Embedding:
    table = nn.Embedding(cardinality, width, padding_idx=0)
    with torch.no_grad():
        table.weight[1:].normal_(std=std)
        table.weight[0] = 0
    return table


def _width(column: Column) -> int:
    if isinstance(column, Ragged):
        return int(column.lengths.max()) if len(column) else 0
    return column.shape[1]


def _latest(column: Column, lengths: Tensor, count: int | None) -> Column:
    if count is None:
        return column
    ragged = column if isinstance(column, Ragged) else Ragged.from_padded(column, lengths)
    return ragged.latest(count)
