"""``merlin.models.torch.inputs.embedding``: tables that may get their columns later."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from merlin.models._legacy import legacy, served
from merlin.models.torch._columns import named_columns
from merlin.models.torch.block import ParallelBlock
from torch import Tensor, nn

from merlin_models_torch import inputs as core
from merlin_models_torch.batch import Batch
from merlin_models_torch.schema import ColumnSchema, Schema, as_schema


@legacy
def infer_embedding_dim(schema: Any, multiplier: float = 2.0, ensure_multiple_of_8: bool = True) -> int:
    """A width for a table of some columns: ``multiplier`` times the fourth root of its rows, rounded up."""
    rows = sum(column.int_domain.max for column in schema) + 1
    return core.inferred_dim(int(rows), multiplier=multiplier, multiple_of=8 if ensure_multiple_of_8 else 1)


@legacy
class EmbeddingTable(nn.Module):
    """The core's :class:`EmbeddingTable`, made when its columns are known.

    Args:
        dim: width, or a function of the schema that gives it.
        schema: a column or several; given later by the block that it is put in if None.
        seq_combiner: how lists become one vector: "mean", "sum", "max" or a module.
    """

    def __init__(
        self,
        dim: int | Callable[[Any], int] = infer_embedding_dim,
        schema: Any = None,
        seq_combiner: str | nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.dim: Any = dim
        self.seq_combiner = seq_combiner
        self.table: Any = None
        if schema is not None:
            self.initialize_from_schema(schema)

    @property
    def initialized(self) -> bool:
        """Whether the columns are known."""
        return self.table is not None

    @property
    def input_schema(self) -> Schema | None:
        """The columns."""
        return None if self.table is None else self.table.schema

    @property
    def num_embeddings(self) -> int:
        """Rows."""
        return 0 if self.table is None else int(self.table.num_embeddings)

    def initialize_from_schema(self, schema: Any) -> None:
        """Makes the table."""
        single = isinstance(schema, ColumnSchema) or not hasattr(schema, "column_names")
        columns = as_schema(Schema([schema]) if single else schema)
        if callable(self.dim):
            self.dim = self.dim(columns)
        self.table = core.EmbeddingTable(columns, self.dim, combiner=self.seq_combiner, init_std=1.0)

    def add_feature(self, col_schema: Any) -> EmbeddingTable:
        """Adds a column and the rows that it needs."""
        if self.table is None:
            self.initialize_from_schema(col_schema)
        else:
            self.table.grow(Schema([col_schema]))
        return self

    def update_feature(self, col_schema: Any) -> EmbeddingTable:
        """Gives a column a larger domain."""
        if self.table is None or col_schema.name not in self.table.schema.column_names:
            raise ValueError(f"the table has no column {col_schema.name!r}: add it by add_feature")
        return self.add_feature(col_schema)

    def feature_weights(self, name: str) -> Tensor:
        """(size + 1, D) vectors of a column's or domain's ids."""
        found: Tensor = self._made().vectors(name)
        return found

    def table_name(self) -> str:
        """The names of the domains."""
        return "_".join(self._made().domains)

    def forward(self, inputs: Any, batch: Batch | None = None) -> Any:
        """Looks up ids, or the table's columns among several by name."""
        return self._made()(named_columns(inputs))

    def _made(self) -> Any:
        if self.table is None:
            raise RuntimeError(
                "the table has no columns yet: give a schema, or put it in a block that has one"
            )
        return self.table


@legacy
class EmbeddingTables(ParallelBlock):
    """A table for each domain.

    Args:
        dim: width; by name of the column; or a function of the schema.
        schema: the columns; given later by the block that it is put in if None.
        table_cls: class of the tables.
        seq_combiner: of each table.
        **kwargs: others of ``table_cls``.
    """

    def __init__(
        self,
        dim: Mapping[str, int] | int | Callable[[Any], int] | None = infer_embedding_dim,
        schema: Any = None,
        table_cls: Any = EmbeddingTable,
        seq_combiner: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.dim, self.table_cls = dim, table_cls
        self._options = {"seq_combiner": seq_combiner, **kwargs}
        self.initialized = False
        if schema is not None:
            self.initialize_from_schema(schema)

    def initialize_from_schema(self, schema: Any) -> None:
        """Makes the tables."""
        self.schema = as_schema(schema)
        self.initialized = True
        taken = inspect.signature(self.table_cls.__init__).parameters
        for column in self.schema:
            domain = self.schema.domain_name(column.name)
            if domain in self.branches:
                table: Any = self.branches[domain]
                table.add_feature(column)
                continue
            options = {
                name: value.get(column.name) if isinstance(value, Mapping) else value
                for name, value in {"dim": self.dim, **self._options}.items()
                if name in taken
            }
            given = {name: value for name, value in options.items() if value is not None}
            self._set(domain, self.table_cls(schema=column, **given))

    def forward(self, inputs: Any, batch: Batch | None = None) -> Any:
        """Vectors by name of the column."""
        return super().forward(named_columns(inputs), batch)


__getattr__ = served(__name__)
