"""``merlin.models.torch.inputs.embedding``: tables that may get their columns later."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from merlin.models._legacy import legacy, served
from merlin.models.torch import schema as of
from merlin.models.torch.batch import Batch
from merlin.models.torch.block import ParallelBlock
from merlin.models.utils.schema_utils import get_embedding_size_from_cardinality
from merlin.schema import ColumnSchema, Schema, Tags
from torch import Tensor, nn

Combiner = str | nn.Module
DimFn = Callable[[Any], int]


@dataclass
class Domain:
    """The rows of a table that belong to a domain.

    Args:
        min: first.
        max: last.
        name: of the domain.
    """

    min: float
    max: float
    name: str


@legacy
def infer_embedding_dim(schema: Any, multiplier: float = 2.0, ensure_multiple_of_8: bool = True) -> int:
    """A width for a table of some columns: ``multiplier`` times the fourth root of its rows, rounded up."""
    rows = sum(column.int_domain.max for column in schema) + 1
    return get_embedding_size_from_cardinality(rows, multiplier, ensure_multiple_of_8)


@legacy
class EmbeddingTable(nn.Module, of.Selectable):
    """Vectors of the ids of one or several columns, in one matrix of which every row is learned.

    The core's :class:`merlin_models_torch.EmbeddingTable` keeps row 0 for padding instead.

    Args:
        dim: width, or a function of the schema that gives it.
        schema: a column or several; given later by the block that it is put in if None.
        seq_combiner: how lists become one vector: "mean", "sum", "max" or a module.
    """

    table: nn.Embedding
    has_combiner = False
    has_module_combiner = False

    def __init__(
        self,
        dim: int | DimFn = infer_embedding_dim,
        schema: Any = None,
        seq_combiner: Combiner | None = None,
    ) -> None:
        super().__init__()
        self.dim: Any = dim
        self.seq_combiner = seq_combiner
        self.domains: dict[str, Domain] = {}
        self.feature_to_domain: dict[str, Domain] = {}
        self.has_combiner = seq_combiner is not None
        self.has_module_combiner = isinstance(seq_combiner, nn.Module)
        self.num_embeddings = 0
        self.input_schema: Any = None
        if schema:
            self.initialize_from_schema(schema)
            self._initialized_from_schema = True

    def initialize_from_schema(self, schema: Any) -> None:  # type: ignore[override]
        """Makes the table."""
        self.input_schema = Schema()
        for column in [schema] if isinstance(schema, ColumnSchema) else schema:
            self.add_feature(column)
        if self.input_schema:
            self.table = self.create_table()

    def create_table(self) -> Any:
        """A matrix for all ids, normal with standard deviation 1."""
        if callable(self.dim):
            self.dim = self.dim(self.input_schema)
        return nn.Embedding(self.num_embeddings, self.dim)

    def insert_rows(self, num_rows: int, start_index: int = 0) -> None:
        """Adds rows before one; the weight is a new parameter afterwards."""
        old = self.table.weight
        new = type(self.table)(num_rows, self.dim).to(old.device)
        with torch.no_grad():
            joined = torch.cat([old[:start_index], new.weight, old[start_index:]])
        new.weight, new.num_embeddings = nn.Parameter(joined), len(joined)
        self.table = new

    def append_rows(self, num_rows: int) -> EmbeddingTable:
        """Adds rows at the end."""
        self.insert_rows(num_rows, self.num_embeddings)
        return self

    def add_feature(self, col_schema: Any) -> EmbeddingTable:
        """Adds a column and the rows that it needs.

        Raises:
            ValueError: if it has no domain.
        """
        domain = _domain(col_schema)
        rows = 0
        if domain.name not in self.domains:
            first = self.num_embeddings
            self.domains[domain.name] = Domain(domain.min + first, domain.max + first, domain.name)
            rows = int(domain.max)
        self.feature_to_domain[col_schema.name] = self.domains[domain.name]
        self.input_schema = (self.input_schema or Schema()) + Schema([col_schema])
        self.num_embeddings = (self.num_embeddings or 1) + rows
        if hasattr(self, "table"):
            self.append_rows(rows)
        return self

    def update_feature(self, col_schema: Any) -> EmbeddingTable:
        """Gives a column a larger domain, with new rows after those that it had.

        Raises:
            ValueError: if the table has no such column, or its domain would shrink.
        """
        name = col_schema.name
        if name not in self.feature_to_domain:
            raise ValueError(f"the table has no column {name!r}: add it by add_feature")
        new, old = _domain(col_schema), self.feature_to_domain[name]
        rows = int(new.max - old.max)
        if rows < 0:
            raise ValueError(
                f"the domain of {name!r} would go from {old.max} to {new.max}: a table only grows"
            )
        last = int(old.max)
        self.domains[new.name] = Domain(old.min, new.max, new.name)
        for feature, domain in self.feature_to_domain.items():
            if domain.name == new.name:
                self.feature_to_domain[feature] = self.domains[new.name]
        for domain in self.domains.values():
            if domain.min > last:
                domain.min, domain.max = domain.min + rows, domain.max + rows
        self.input_schema = Schema([col_schema if c.name == name else c for c in self.input_schema])
        self.num_embeddings += rows
        if hasattr(self, "table"):
            self.insert_rows(rows, last)
        return self

    def feature_weights(self, name: str) -> Tensor:
        """Rows of a domain, without its last, as in 23.12.

        Raises:
            ValueError: if the table has no such domain.
        """
        if name not in self.domains:
            raise ValueError(f"the table has no domain {name!r}, only {list(self.domains)}: check the name")
        domain = self.domains[name]
        return self.table.weight[int(domain.min) : int(domain.max)]

    def forward(self, inputs: Any, batch: Batch | None = None) -> Any:
        """Looks up ids, or the table's columns among several by name, lists also in two tensors.

        Raises:
            RuntimeError: if the table has no columns yet.
            ValueError: if the inputs are something else.
        """
        if not self.domains:
            raise RuntimeError(
                "the table has no columns yet: give a schema, or put it in a block that has one"
            )
        if isinstance(inputs, dict):
            return self._of_columns(inputs)
        if isinstance(inputs, Tensor):
            return self.forward_tensor(inputs)
        raise ValueError(f"ids are a tensor or tensors by name, got a {type(inputs).__name__}")

    def forward_tensor(self, ids: Tensor) -> Tensor:
        """Looks up ids; a module combines lists."""
        vectors: Tensor = self.table(ids)
        if self.has_module_combiner and vectors.dim() > 2:
            combine: Any = self.seq_combiner
            return combine(vectors)  # type: ignore[no-any-return]
        return vectors

    def forward_bag(self, inputs: Tensor, offsets: Tensor | None = None) -> Tensor:
        """One vector for each list; zeros count, as in 23.12."""
        return F.embedding_bag(inputs, self.table.weight, offsets=offsets, mode=str(self.seq_combiner))

    def _of_columns(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        pools = self.has_combiner and not self.has_module_combiner
        found: dict[str, Tensor] = {}
        lists: dict[str, Tensor] = {}
        for name in sorted(self.feature_to_domain):
            if name in inputs:
                first = int(self.feature_to_domain[name].min)
                ids = inputs[name] + first if first > 1 else inputs[name]
                found[name] = self.forward_bag(ids) if pools and ids.dim() > 1 else self.forward_tensor(ids)
            elif f"{name}__values" in inputs and f"{name}__offsets" in inputs:
                if not pools:
                    raise NotImplementedError(
                        f"column {name!r} is ragged: give seq_combiner, or pad it by TabularPadding"
                    )
                offsets = inputs[f"{name}__offsets"][:-1]
                lists[name] = self.forward_bag(inputs[f"{name}__values"], offsets)
        return {**found, **lists}

    def select(self, selection: Any) -> Any:
        """The table itself.

        Raises:
            ValueError: if it has none of the columns.
        """
        if not of.select(self.input_schema, selection):
            raise ValueError(f"the table of {self.input_schema.column_names} has no column of {selection!r}")
        return self

    def output_schema(self) -> Any:
        """A column of vectors for each column of ids."""
        width: tuple[int | None, ...] = (None, self.dim) if self.seq_combiner else (None, None, self.dim)
        return Schema(
            [
                ColumnSchema(
                    f"{column.name}_embedding",
                    dims=width,
                    tags=[Tags.EMBEDDING, *(tag for tag in of.NAMESPACE_TAGS if tag in column.tags)],
                )
                for column in self.input_schema
            ]
        )

    def contains_multiple_domains(self) -> bool:
        """Whether there are several domains."""
        return len(self.domains) > 1

    def table_name(self) -> str:
        """The names of the domains."""
        return "_".join(domain.name for domain in self.domains.values())

    def extra_repr(self) -> str:
        """The columns."""
        return f"features: {', '.join(self.feature_to_domain)}"

    def __bool__(self) -> bool:
        return bool(self.input_schema)


def _domain(column: Any) -> Any:
    if not column.int_domain:
        raise ValueError(f"column {column.name!r} has no domain of whole numbers: give it one")
    return column.int_domain


@legacy
class EmbeddingTables(ParallelBlock, of.Selectable):
    """A table for each domain.

    Args:
        dim: width; by name of the column; or a function of the schema.
        schema: the columns; given later by the block that it is put in if None.
        table_cls: class of the tables.
        seq_combiner: of each table.
        **kwargs: others of ``table_cls``; ``tables``, ready ones by name.
    """

    def __init__(
        self,
        dim: Mapping[str, int] | int | DimFn | None = infer_embedding_dim,
        schema: Any = None,
        table_cls: Any = EmbeddingTable,
        seq_combiner: Combiner | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kwargs.pop("tables", {}))
        self.dim, self.table_cls, self.seq_combiner, self.kwargs = dim, table_cls, seq_combiner, kwargs
        if isinstance(schema, Schema):
            self.initialize_from_schema(schema)
            self._initialized_from_schema = True

    def initialize_from_schema(self, schema: Any) -> Any:
        """Makes the tables."""
        self.schema = schema
        for column in schema:
            domain = column.int_domain.name
            if domain in self.branches:
                self.branches[domain][0].add_feature(column)  # type: ignore[index]
            else:
                self.branches[domain] = self.table_cls(**self._options(column))
        return self

    def _options(self, column: Any) -> dict[str, Any]:
        own = {"dim": self.dim, "schema": column, "seq_combiner": self.seq_combiner, **self.kwargs}
        taken = {
            name
            for name, p in inspect.signature(self.table_cls.__init__).parameters.items()
            if p.kind is p.KEYWORD_ONLY or p.default is not p.empty
        }
        by_column = {name: v for name, v in own.items() if not isinstance(v, dict) or column.name in v}
        return {
            name: value[column.name] if isinstance(value, dict) else value
            for name, value in by_column.items()
            if name in taken
        }

    def select(self, selection: Any) -> Any:
        """The tables of some of the columns."""
        parts = {}
        for name, branch in self.branches.items():
            try:
                part = of.select(branch, selection)
            except ValueError:
                continue
            if part:
                parts[name] = part
        return EmbeddingTables(
            dim=self.dim,
            schema=of.select(self.schema, selection),
            table_cls=self.table_cls,
            seq_combiner=self.seq_combiner,
            tables=parts,
            **self.kwargs,
        )

    def extra_repr(self) -> str:
        """The domains."""
        return ", ".join(self.branches)


__getattr__ = served(__name__)
