"""Embedding tables of all categorical columns."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from torch import nn

from merlin_models_torch._counts import check_count
from merlin_models_torch.batch import Batch, Column
from merlin_models_torch.inputs.combiner import Combiner
from merlin_models_torch.inputs.layout import Unknown
from merlin_models_torch.inputs.table import EmbeddingTable, inferred_dim
from merlin_models_torch.schema import ColumnSchema, Schema
from merlin_models_torch.serialize import serializable

EmbeddingDim = int | Mapping[str, int] | str
_DEFAULT = 64


def by_domain(schema: Schema) -> dict[str, Schema]:
    """The columns of a schema by name of their domain."""
    groups: dict[str, list[ColumnSchema]] = {}
    for column in schema:
        groups.setdefault(schema.domain_name(column.name), []).append(column)
    return {domain: Schema(columns) for domain, columns in groups.items()}


def width_of(dim: EmbeddingDim, domain: str, columns: Schema) -> int:
    """Width of the table of a domain: the one for all, its own, 64 where that is missing, or inferred."""
    if dim == "infer":
        return inferred_dim(max(columns.cardinality(name) for name in columns.column_names))
    if isinstance(dim, str):
        raise ValueError(f"embedding_dim is {dim!r}, expected a width, widths by domain, or 'infer'")
    width = dim.get(domain, _DEFAULT) if isinstance(dim, Mapping) else dim
    check_count("embedding_dim", width)
    return width


def check_dims(dim: EmbeddingDim, domains: list[str]) -> None:
    """Raises ValueError for a width of a domain that there is not."""
    unknown = [domain for domain in dim if domain not in domains] if isinstance(dim, Mapping) else []
    if unknown:
        raise ValueError(f"embedding_dim names {unknown[0]!r}, but the domains are {sorted(domains)}")


@serializable
class EmbeddingTables(nn.Module):
    """One :class:`EmbeddingTable` for each domain of a schema.

    Args:
        schema: categorical columns.
        embedding_dim: width of the tables, one for all, by domain (64 where a name is missing), or "infer".
        combiner: of each table, see :class:`EmbeddingTable`.
        sparse: of each table.
        unknown: of each table.
        init_std: of each table.

    Raises:
        ValueError: if a width is given for a domain that there is not.

    Example:
        >>> columns = schema.select(Tags.CATEGORICAL)
        >>> tables = EmbeddingTables(columns, embedding_dim={"item_id": 16, "category": 4}, combiner="mean")
        >>> {name: tuple(vectors.shape) for name, vectors in tables(batch).items()}  # lists of 8 sessions
        {'item_id': (8, 16), 'category': (8, 4)}
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: EmbeddingDim = _DEFAULT,
        combiner: Combiner | None = None,
        sparse: bool = False,
        unknown: Unknown = None,
        init_std: float = 0.05,
    ) -> None:
        super().__init__()
        groups = by_domain(schema)
        check_dims(embedding_dim, list(groups))
        self.schema = schema
        self.tables = nn.ModuleDict(
            {
                domain: EmbeddingTable(
                    columns,
                    width_of(embedding_dim, domain, columns),
                    # Each table's own, as the weights of a module combiner belong to one place.
                    combiner=copy.deepcopy(combiner),
                    sparse=sparse,
                    unknown=unknown,
                    init_std=init_std,
                )
                for domain, columns in groups.items()
            }
        )
        self._options: dict[str, Any] = {
            "embedding_dim": {domain: table.embedding_dim for domain, table in self.tables.items()},
            "combiner": combiner,
            "sparse": sparse,
            "unknown": unknown,
            "init_std": init_std,
        }

    def table(self, name: str) -> EmbeddingTable:
        """The table of a column.

        Raises:
            SchemaError: if there is no such column.
        """
        table: Any = self.tables[self.schema.domain_name(name)]
        found: EmbeddingTable = table
        return found

    def forward(self, inputs: Batch | Mapping[str, Column]) -> dict[str, Column]:
        """Looks up every column of the schema.

        Args:
            inputs: a batch, or columns by name: (B,), (B, T) or (B, T, S) int64, or ragged.

        Returns:
            Vectors by name of the column, as :meth:`EmbeddingTable.forward` gives them: (B, D) for (B,) and
            for lists that are combined, (B, T, D) for others.

        Raises:
            KeyError: if a column is missing.
        """
        features = inputs.features if isinstance(inputs, Batch) else inputs
        missing = [name for name in self.schema.column_names if name not in features]
        if missing:
            raise KeyError(f"the inputs have no {missing}, only {sorted(features)}: add them to the data")
        return {name: self.table(name).lookup(features[name], name) for name in self.schema.column_names}

    def grow(self, columns: ColumnSchema | Schema) -> EmbeddingTables:
        """Grows the tables of the domains of some columns: see :meth:`EmbeddingTable.grow`."""
        new = Schema([columns]) if isinstance(columns, ColumnSchema) else columns
        for domain, group in by_domain(new).items():
            if domain not in self.tables:
                raise ValueError(f"there is no domain {domain!r}, only {list(self.tables)}: check the name")
            self.table(next(c.name for c in self.schema if self.schema.domain_name(c.name) == domain)).grow(
                group
            )
        merged = {column.name: column for column in [*self.schema, *new]}
        self.schema = Schema(list(merged.values()))
        return self

    def init_arguments(self) -> dict[str, Any]:
        """What builds these tables again."""
        return {"schema": self.schema, **self._options}
