"""Columns of a table to vectors: embeddings, continuous columns, their aggregation, and masking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from merlin_models_torch._counts import check_count
from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.blocks.join import aligned, stacked
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.data.errors import RowError
from merlin_models_torch.inputs.combiner import Combiner
from merlin_models_torch.inputs.encoder import ColumnEncoder, Context
from merlin_models_torch.inputs.hashed import HashedCross
from merlin_models_torch.inputs.layout import Unknown
from merlin_models_torch.inputs.mask_vector import MaskVector
from merlin_models_torch.inputs.noise import StochasticSwapNoise
from merlin_models_torch.inputs.tables import EmbeddingDim
from merlin_models_torch.masking import Masking, MaskPlan, Mode
from merlin_models_torch.schema import Schema
from merlin_models_torch.serialize import serializable

Aggregation = Literal["concat", "sum", "mean", "stack"] | nn.Module


@serializable
class TabularInputBlock(ColumnEncoder):
    """The categorical and continuous columns of a schema as one vector for each row or position.

    Categorical columns are looked up in embedding tables, one for each domain, so that columns of one domain
    share theirs. If the schema has list columns the block works on sequences: all lists of a row go together,
    position by position, and scalar columns are repeated at every position. Vectors are aggregated in the
    order of column names. Lists inside lists, such as the categories or prices of each item, may differ in
    length and are pooled for each position, by their mean if not said otherwise.

    Args:
        schema: columns to use; those tagged as target are left out, and those neither categorical nor
            continuous.
        embedding_dim: width of the tables, one for all, by domain name (64 where a name is missing), or
            "infer" from the number of ids.
        aggregation: "concat"; the "sum" or "mean" of vectors of one width; "stack" for (B, F, D) of F
            columns; or a module that makes one tensor of a dict.
        continuous_projection: widths of an MLP over all continuous columns together; without it each is one
            number.
        projection: module applied to the aggregated vectors, or the width of an :class:`MLPBlock`.
        masking: how sequences are masked; needs a list column tagged as item id.
        max_sequence_length: only this many latest items of each sequence are visible.
        pad_to: positions to pad to instead of the longest of the batch. Only matters for legacy equality.
        attend_to_padding: (legacy) without a masking, padding counts as any other position: it is attended
            to, has its share in means, and may be the last. With one, the masking says so.
        dropout: share of the resulting numbers set to zero in training.
        init_std: standard deviation of the tables' normal initial values.
        embeddings: modules by column name, instead of its table or its plain number: they get (B,), (B, T) or
            (B, T, S) values and give one dimension D more. One module may serve several columns.
        extra_embeddings: the same beside a column's table: pretrained vectors of items that also have learned
            ones, say.
        crosses: new categorical columns by name, each with a table of its own. A cross may have one combined
            list beside columns of the row, and is combined as that list is.
        combiner: how a list becomes one vector of the row, see :class:`ListCombiner` and
            :class:`WeightedMean`: for all lists, or by column name; lists without one stay sequences. With a
            masking combine only lists that belong to the row as a whole, since those of positions would show
            what is hidden.
        context: what becomes of the vectors of a row beside its sequences: "broadcast" repeats them at every
            position; "late" leaves them out, for :class:`LateFusion`; "stack" gives a dict of "sequence" and
            "context" (B, C, D), for :class:`CrossAttentionBlock`.
        sparse: gradients of the tables only for the rows looked up, see :class:`EmbeddingTable`.
        unknown: where ids outside of a domain go, see :class:`EmbeddingTable`.
        layer_norm: normalise each column's vector on its own.
        feature_dropout: share of the numbers of each column's vector set to zero in training, before they
            are aggregated.
        swap_noise: chance of a value to be exchanged for another of its column in training, see
            :class:`StochasticSwapNoise`.

    Raises:
        ValueError: if the schema has no column to use, masking finds no item-id list, an option names a
            column that there is not, or a column's module has fewer rows than the column has ids.
        TypeError: if the masking is none, or a number of positions no whole number.

    Example:
        >>> inputs = TabularInputBlock(schema, embedding_dim=8, masking=CausalMasking())
        >>> inputs.schema.column_names
        ['item_id', 'category', 'price']
        >>> inputs(inputs.for_training(batch)).shape  # the longest of 8 sessions has 13 items, one a target
        torch.Size([8, 12, 17])
        >>> rows = TabularInputBlock(click_schema, embedding_dim={"user_id": 4, "item_id": 8})
        >>> rows(sample_batch(click_schema, rows=3)).shape  # the label "click" is left out
        torch.Size([3, 14])
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: EmbeddingDim = 64,
        aggregation: Aggregation = "concat",
        continuous_projection: int | Sequence[int] | None = None,
        projection: nn.Module | int | None = None,
        masking: Masking | None = None,
        max_sequence_length: int | None = None,
        pad_to: int | None = None,
        attend_to_padding: bool = False,
        dropout: float = 0.0,
        init_std: float = 0.05,
        embeddings: Mapping[str, nn.Module] | None = None,
        extra_embeddings: Mapping[str, nn.Module] | None = None,
        crosses: Mapping[str, HashedCross] | None = None,
        combiner: Combiner | Mapping[str, Combiner] | None = None,
        context: Context = "broadcast",
        sparse: bool = False,
        unknown: Unknown = None,
        layer_norm: bool = False,
        feature_dropout: float = 0.0,
        swap_noise: float = 0.0,
    ) -> None:
        super().__init__(
            schema,
            embedding_dim=embedding_dim,
            continuous_projection=continuous_projection,
            init_std=init_std,
            embeddings=embeddings,
            extra_embeddings=extra_embeddings,
            crosses=crosses,
            combiner=combiner,
            context=context,
            sparse=sparse,
            unknown=unknown,
            layer_norm=layer_norm,
            feature_dropout=feature_dropout,
        )
        if not isinstance(aggregation, nn.Module) and aggregation not in ("concat", "sum", "mean", "stack"):
            raise ValueError(
                f"aggregation must be 'concat', 'sum', 'mean', 'stack' or a module, got {aggregation!r}"
            )
        if masking is not None and not hasattr(masking, "evaluate"):
            raise TypeError(
                f"masking is a {type(masking).__name__}, expected a masking such as CausalMasking(): make one"
            )
        for argument, given in (("max_sequence_length", max_sequence_length), ("pad_to", pad_to)):
            if given is None:
                continue
            check_count(argument, given)
            if given < 1:
                raise ValueError(f"{argument} is {given}, expected at least 1 position, or None for no limit")
        if masking is not None and self.item_id not in self.sequences:
            raise ValueError(
                "masking needs a list column tagged Tags.ITEM_ID; "
                f"the schema has {self.item_id or 'none'} among {self.schema.column_names}"
            )
        self.masking = masking
        self.aggregation = aggregation
        self.max_sequence_length = max_sequence_length
        self.pad_to = pad_to
        self.attend_to_padding = attend_to_padding

        self.projection = MLPBlock([projection]) if isinstance(projection, int) else projection
        self.mask_vector = MaskVector() if masking is not None else None
        self.dropout = nn.Dropout(dropout)
        self.swap_noise = StochasticSwapNoise(swap_noise) if swap_noise else None
        if masking is not None and attend_to_padding:
            raise ValueError(
                "attend_to_padding is for inputs without a masking: give it to the masking, such as "
                "RandomMasking(attend_to_padding=True)"
            )
        if masking is not None and aggregation == "stack":
            raise ValueError(
                "aggregation 'stack' keeps columns apart, and masking needs one vector: join them"
            )

    def prepare(self, batch: Batch, *, limit: int | None = None) -> tuple[Batch, Tensor | None]:
        """Cuts and pads the sequences of a batch to one matrix width; lists to combine stay as they are.

        Args:
            batch: as a loader gives it.
            limit: latest positions to keep; ``max_sequence_length`` if not given.

        Returns:
            The batch with (B, T) features, and the (B,) lengths, or None if there is no sequence.

        Raises:
            KeyError: if a column of the schema is missing.
            ValueError: if a list that is not combined has another length than the items of its row.
        """
        batch = batch.select(self.schema.column_names)
        if not self.sequences:
            return batch, None
        first = self.item_id if self.item_id in self.sequences else None
        first = first or self.sequences[0]
        _check_lengths(batch, first, self.sequences)
        lengths = batch.lengths(first)
        limit = limit or self.max_sequence_length
        columns = {name: _latest(batch[name], lengths, limit) for name in self.sequences}
        if limit is not None:
            lengths = lengths.clamp(max=limit)
        batch = batch.with_features(columns)
        width = self.pad_to or max(_width(column) for column in columns.values())
        return batch.with_features({name: batch.padded(name, width) for name in columns}), lengths

    def for_training(self, batch: Batch, *, generator: torch.Generator | None = None) -> Batch:
        """The prepared batch with the plan of a training step; ``generator`` makes the random choices."""
        ready = self._planned(batch, "train", lambda m, ids, n: m.train(ids, n, generator=generator))
        if self.swap_noise is None:
            return ready
        weights = {*self.list_weights.values()}
        columns = {name: ready[name] for name in self.schema.column_names if name not in weights}
        return ready.with_features(self.swap_noise(columns, generator=generator))

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

    def forward(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        """Vectors of the prepared batch.

        Args:
            batch: prepared, with a plan if sequences are masked.

        Returns:
            (B, D) float, or (B, T, D) if the schema has list columns that are not combined. With "stack" for
            the context, a dict of it (B, C, D) and the sequence.
        """
        vectors = self.vectors(batch)
        context: dict[str, Tensor] = {}
        if self.sequences and self.context == "stack":
            context = {name: v for name, v in vectors.items() if v.dim() == 2}
            vectors = {name: v for name, v in vectors.items() if v.dim() != 2}
        outputs = self._aggregate(vectors)
        if self.projection is not None:
            outputs = self.projection(outputs)
        if self.mask_vector is not None and batch.plan is not None:
            outputs = self.mask_vector(outputs, batch.plan)
        result: Tensor = self.dropout(outputs)
        if self.context != "stack" or not self.sequences:
            return result
        return {"sequence": result, "context": self.dropout(stacked(context))}

    def _aggregate(self, vectors: Mapping[str, Tensor]) -> Tensor:
        if not isinstance(self.aggregation, str):
            result: Tensor = self.aggregation(vectors)
            return result
        if self.aggregation == "stack":
            return stacked(vectors)
        ordered = aligned(vectors)
        if self.aggregation == "concat":
            return torch.cat(ordered, -1)
        widths = {name: v.shape[-1] for name, v in vectors.items()}
        if len(set(widths.values())) > 1:
            raise ValueError(f"aggregation {self.aggregation!r} needs vectors of one width, got {widths}")
        total = torch.stack(ordered).sum(0)
        return total if self.aggregation == "sum" else total / len(ordered)


def _check_lengths(batch: Batch, first: str, sequences: Sequence[str]) -> None:
    """Refuses lists that cannot go together position by position; matrices do not tell their lengths."""
    leading = batch[first]
    if not isinstance(leading, Ragged):
        return
    for name in sequences:
        column = batch[name]
        if not isinstance(column, Ragged) or column.offsets is leading.offsets:
            continue
        if not torch.equal(column.offsets, leading.offsets):
            row = int((column.lengths != leading.lengths).int().argmax())
            raise RowError(
                row,
                f"has {int(column.lengths[row])} values in list column {name!r} where {first!r} has "
                f"{int(leading.lengths[row])}: combine it by combiner={{{name!r}: 'mean'}}, or read it by an "
                "input block of its own",
            )


def _width(column: Column) -> int:
    if isinstance(column, Ragged):
        return int(column.lengths.max()) if len(column) else 0
    return column.shape[1]


def _latest(column: Column, lengths: Tensor, count: int | None) -> Column:
    if count is None or (isinstance(column, Tensor) and column.shape[1] <= count):
        return column
    ragged = column if isinstance(column, Ragged) else Ragged.from_padded(column, lengths)
    return ragged.latest(count)
