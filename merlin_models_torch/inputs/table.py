"""Learned vectors of ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from merlin_models_torch._counts import check_count
from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.inputs.combiner import Combiner, ListCombiner
from merlin_models_torch.inputs.layout import Span, Unknown, spans, total
from merlin_models_torch.inputs.made import ROW_MAKER, Draw
from merlin_models_torch.inputs.weighted import weights_of
from merlin_models_torch.schema import ColumnSchema, Schema
from merlin_models_torch.serialize import serializable

if TYPE_CHECKING:
    from merlin_models_torch.outputs.catalogue import RowStore

_BAGS = {"mean": "mean", "sum": "sum", "sqrtn": "sum", "max": "max"}


def inferred_dim(cardinality: int, *, multiplier: float = 2.0, multiple_of: int = 8) -> int:
    """A width for a table: ``multiplier`` times the fourth root of its rows, rounded up.

    Args:
        cardinality: rows.
        multiplier: factor.
        multiple_of: the width is a multiple of it.

    Returns:
        The width, at least ``multiple_of``.

    Example:
        >>> [inferred_dim(rows) for rows in (10, 10_000, 1_000_000)]
        [8, 24, 64]
    """
    width = max(1.0, multiplier * cardinality**0.25)
    return int(-(-width // multiple_of) * multiple_of)


@serializable
class EmbeddingTable(nn.Embedding):
    """Vectors of the ids of one or several columns, in one matrix.

    Row 0 is padding for all: zero, and never learned. The domains stand one after the other behind it, so a
    table of one domain has the id as the row. Columns of one domain share its rows.

    Args:
        columns: a categorical column, or several, with their domains.
        dim: width D; inferred from the number of rows by :func:`inferred_dim` if neither it nor ``weights``
            is given.
        combiner: how the ids of a list become one vector, "mean", "sum", "sqrtn" (sum by square root of the
            count), "max", "attention" or a module, see :class:`ListCombiner`; lists stay lists without it. It
            goes over the innermost lists, so lists inside lists are pooled per item.
        weights: initial vectors (size + 1, D), the row being the id; by name of the domain where there are
            several.
        trainable: whether they are learned.
        sparse: gradients only for the rows looked up; :class:`Model` gives such tables an optimiser for them.
        unknown: where ids outside of the domain go: an id of it (1 in the vocabularies of this library), or
            "last", a row of its own after the domain's. They are an error without it.
        init_std: standard deviation of the normal initial values.

    Raises:
        ValueError: if weights do not fit the domains, ``unknown`` is not in one, or the width is below 1.
        TypeError: if the columns are no schema, or the width is no whole number.

    Example:
        >>> column = ColumnSchema("genre", properties={"domain": {"min": 0, "max": 5}}, dtype="int64")
        >>> EmbeddingTable(column, 4, combiner="mean")(torch.tensor([[1, 2, 0], [5, 0, 0]])).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        columns: ColumnSchema | Schema,
        dim: int | None = None,
        *,
        combiner: Combiner | None = None,
        weights: ArrayLike | Tensor | Mapping[str, ArrayLike | Tensor] | None = None,
        trainable: bool = True,
        sparse: bool = False,
        unknown: Unknown = None,
        init_std: float = 0.05,
    ) -> None:
        if not isinstance(columns, (ColumnSchema, Schema)):
            raise TypeError(
                f"columns is a {type(columns).__name__}, expected the schema of a column, such as "
                "schema['item_id'], or of several"
            )
        schema = Schema([columns]) if isinstance(columns, ColumnSchema) else columns
        if dim is not None:
            check_count("dim", dim)
        if not len(schema):
            raise ValueError("an embedding table needs at least one column: select a categorical one")
        if dim is not None and dim < 1:
            raise ValueError(f"dim is {dim}, expected a width of at least 1, or None to infer one")
        weighted = weights_of(combiner)
        if weighted is not None:
            raise ValueError(
                f"combiner is WeightedMean({weighted!r}), and a table does not see that column: give it "
                "to TabularInputBlock(combiner={...})"
            )
        layout = spans(schema, unknown=unknown)
        given = _by_domain(weights, layout)
        width = dim or next((w.shape[1] for w in given.values()), None) or inferred_dim(total(layout))
        for domain, matrix in given.items():
            expected = (layout[domain].size + 1, width)
            if tuple(matrix.shape) != expected:
                raise ValueError(
                    f"the weights of domain {domain!r} have the shape {tuple(matrix.shape)}, expected "
                    f"{expected}: one row for each id, the first for padding"
                )
        maker = ROW_MAKER.get()
        if maker is not None and not maker.shares(schema):
            maker = None
        hollow = None if maker is None else torch.empty(total(layout), width, device="meta")
        super().__init__(total(layout), width, padding_idx=0, sparse=sparse and maker is None, _weight=hollow)
        self.schema = schema
        self.layout = layout
        self.unknown = unknown
        self.init_std = init_std
        self.trainable = trainable
        self.combiner = None if combiner is None else ListCombiner.of(combiner, dim=width)
        # Where the rows are, if they are on several devices: see merlin_models_torch.distributed.
        self.elsewhere: RowStore | None = None
        known = [(layout[domain].offset + 1, matrix[1:]) for domain, matrix in given.items()]
        if maker is None:
            with torch.no_grad():
                self.weight[1:].normal_(std=init_std)
                self.weight[0] = 0
                for first, matrix in known:
                    self.weight[first : first + len(matrix)] = matrix
        else:
            # The numbers that nn.Embedding draws are drawn too, so that all are those of the whole table.
            draws: list[tuple[int, Draw]] = [(0, _normal(1.0)), (1, _normal(init_std))]
            self.weight = maker.made(total(layout), width, draws, [(0, torch.zeros(1, width)), *known])
            self.elsewhere = maker.store(self.weight)
        self.weight.requires_grad_(trainable)

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.embedding_dim

    @property
    def pools(self) -> bool:
        """Whether lists become one vector."""
        return self.combiner is not None

    @property
    def domains(self) -> list[str]:
        """Names of the domains, in the order of their rows."""
        return list(self.layout)

    def span(self, name: str) -> Span:
        """The rows of a column, or of a domain.

        Raises:
            KeyError: if there is no such column or domain.
        """
        if name in self.schema.column_names:
            return self.layout[self.schema.domain_name(name)]
        if name in self.layout:
            return self.layout[name]
        raise KeyError(
            f"the table has no column or domain {name!r}, only {self.schema.column_names}: check the name"
        )

    def vectors(self, name: str) -> Tensor:
        """(size + 1, D) vectors of a column's or domain's ids, the row being the id."""
        span = self.span(name)
        return torch.cat([self.weight[:1], self.weight[span.offset + 1 : span.offset + 1 + span.size]])

    def forward(self, input: Column | Batch | Mapping[str, Column]) -> Any:
        """Looks up ids.

        Args:
            input: ids (B,), (B, T) or (B, T, S), or ragged, of a table of one domain; or columns by name, of
                which those of the table are taken.

        Returns:
            (B, D) for (B,); for lists, without a combiner a dimension D more (ragged for ragged), with one
            the last dimension replaced by D, (B, D) for a ragged column. By name if the input is.

        Raises:
            KeyError: if no column of the table is there.
            ValueError: if ids come without a name and there are several domains.
        """
        if isinstance(input, Batch):
            input = input.features
        if isinstance(input, Mapping):
            names = [name for name in self.schema.column_names if name in input]
            if not names:
                raise KeyError(
                    f"none of the table's columns {self.schema.column_names} is in {sorted(input)}: add them "
                    "to the data"
                )
            return {name: self.lookup(input[name], name) for name in names}
        if len(self.layout) > 1:
            raise ValueError(
                f"the table holds the domains {self.domains}: pass the columns by name, or use lookup"
            )
        return self.lookup(input, self.schema.column_names[0])

    def lookup(self, ids: Column, name: str, *, combine: bool = True) -> Column:
        """Vectors of one column, as :meth:`forward` gives them.

        Args:
            ids: (B,), (B, T) or (B, T, S) int64, or ragged.
            name: of the column or domain.
            combine: False leaves lists as they are.

        Raises:
            IndexError: if an id is outside of the domain and ``unknown`` is not given.
            TypeError: if ids are no integers.
        """
        span = self.span(name)
        combiner = self.combiner if combine else None
        try:
            if isinstance(ids, Ragged):
                rows = Ragged(span.find(ids.values, beyond=self.num_embeddings), ids.offsets)
                return self._ragged(rows, combiner)
            return self._dense(span.find(ids, beyond=self.num_embeddings), combiner)
        except (IndexError, RuntimeError) as error:
            values = ids.values if isinstance(ids, Ragged) else ids
            if values.dtype not in (torch.int64, torch.int32):
                raise TypeError(
                    f"column {name!r} has ids of type {values.dtype}, expected torch.int64: convert them by "
                    ".long()"
                ) from error
            # After an error of its kernels a GPU answers nothing more.
            outside = (values < 0) | (values > span.size) if values.device.type == "cpu" else None
            if outside is None or not bool(outside.any()):
                raise
            first = values[outside][0].item()
            raise IndexError(
                f"column {name!r} has id {first}, expected 0 to {span.size}: encode the ids with the "
                "vocabulary of the schema, or give the table unknown="
            ) from error

    def _dense(self, rows: Tensor, combiner: ListCombiner | None) -> Tensor:
        if self.elsewhere is not None:
            vectors = self.elsewhere.lookup(rows)
        else:
            vectors = F.embedding(rows, self.weight, padding_idx=0, sparse=self.sparse)
        return vectors if combiner is None or rows.dim() < 2 else combiner(vectors, rows != 0)

    def _ragged(self, rows: Ragged, combiner: ListCombiner | None) -> Column:
        if combiner is None or rows.values.dim() > 1:
            return Ragged(self._dense(rows.values, combiner), rows.offsets)
        mode = _BAGS.get(combiner.how)
        if mode is None or (mode == "max" and self.sparse) or self.elsewhere is not None:
            return self._dense(rows.padded(), combiner)
        # The same as pooling the padded matrix, without making it.
        bags = F.embedding_bag(
            rows.values,
            self.weight,
            rows.offsets,
            mode=mode,
            sparse=self.sparse,
            include_last_offset=True,
            padding_idx=0,
        )
        if combiner.how != "sqrtn":
            return bags
        used = Ragged((rows.values != 0).to(bags.dtype), rows.offsets).padded().sum(1, keepdim=True)
        return bags / used.clamp(min=1).sqrt()

    @torch.no_grad()
    def grow(
        self,
        columns: ColumnSchema | Schema,
        *,
        start: Literal["random", "mean", "unknown"] = "random",
        generator: torch.Generator | None = None,
    ) -> EmbeddingTable:
        """Adds rows for new ids, columns and domains; the vector of every old id stays as it is.

        The weight is a new parameter afterwards, so optimisers have to be made again.

        Args:
            columns: with their larger domains; columns that the table does not have yet are added.
            start: what new rows are: normal with ``init_std``, the mean of the domain's rows, or the row of
                unknown ids.
            generator: makes the random rows.

        Returns:
            This table.

        Raises:
            ValueError: if a domain would shrink, or there is no row of unknown ids to start from.
        """
        new = Schema([columns]) if isinstance(columns, ColumnSchema) else columns
        merged = {column.name: column for column in [*self.schema, *new]}
        schema = Schema(list(merged.values()))
        layout = spans(schema, unknown=self.unknown)
        for domain, span in self.layout.items():
            if domain not in layout or layout[domain].size < span.size:
                size = layout[domain].size if domain in layout else 0
                raise ValueError(
                    f"domain {domain!r} has ids up to {span.size} and would get {size}: a table only grows, "
                    "give it the larger domain"
                )
        weight = self.weight.new_zeros(total(layout), self.embedding_dim)
        for domain, span in layout.items():
            block = weight[span.offset + 1 : span.offset + 1 + span.rows]
            old = self.layout.get(domain)
            block.copy_(self._started(block, domain, start, generator))
            if old is not None:
                block[: old.size] = self.weight[old.offset + 1 : old.offset + 1 + old.size]
            if old is not None and self.unknown == "last":
                block[-1] = self.weight[old.offset + old.size + 1]
        self.schema, self.layout = schema, layout
        self.num_embeddings = total(layout)
        self.weight = nn.Parameter(weight, requires_grad=self.trainable)
        return self

    def _started(self, block: Tensor, domain: str, start: str, generator: torch.Generator | None) -> Tensor:
        old = self.layout.get(domain)
        if start == "random" or (old is None and start in ("mean", "unknown")):
            return torch.empty_like(block).normal_(std=self.init_std, generator=generator)
        if start == "mean" and old is not None:
            return self.weight[old.offset + 1 : old.offset + 1 + old.size].mean(0).expand_as(block)
        if start == "unknown" and old is not None and old.unknown is not None:
            return self.weight[old.unknown].expand_as(block)
        raise ValueError(
            f"new rows start from {start!r}, expected 'random', 'mean', or 'unknown' of a table with a row "
            "for unknown ids"
        )

    def init_arguments(self) -> dict[str, Any]:
        """What builds this table again; the vectors are among its weights."""
        return {
            "columns": self.schema,
            "dim": self.embedding_dim,
            "combiner": self.combiner,
            "trainable": self.trainable,
            "sparse": self.sparse,
            "unknown": self.unknown,
            "init_std": self.init_std,
        }

    def extra_repr(self) -> str:
        """Size and columns."""
        return f"{self.num_embeddings}, {self.embedding_dim}, columns={self.schema.column_names}"


def _normal(std: float) -> Draw:
    return lambda piece: piece.normal_(std=std)


def _by_domain(
    weights: ArrayLike | Tensor | Mapping[str, ArrayLike | Tensor] | None, layout: Mapping[str, Span]
) -> dict[str, Tensor]:
    if weights is None:
        return {}
    if not isinstance(weights, Mapping):
        if len(layout) > 1:
            raise ValueError(
                f"the table holds the domains {list(layout)}: give the weights by name of the domain"
            )
        weights = {next(iter(layout)): weights}
    for domain in weights:
        if domain not in layout:
            raise ValueError(f"weights are given for {domain!r}, but the domains are {list(layout)}")
    found = {domain: torch.as_tensor(matrix).detach() for domain, matrix in weights.items()}
    for domain, matrix in found.items():
        if matrix.dim() != 2:
            raise ValueError(
                f"the weights of domain {domain!r} have {matrix.dim()} dimensions, expected a matrix with a "
                "row for each id"
            )
    return found
