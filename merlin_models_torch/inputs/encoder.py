"""The columns of a batch as vectors, each by its table or module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from typing_extensions import Self

from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.blocks.join import concatenated
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.inputs.columns import Shared, column_combiners, is_nested, pooled
from merlin_models_torch.inputs.combiner import Combiner
from merlin_models_torch.inputs.hashed import HashedCross
from merlin_models_torch.inputs.layout import Unknown
from merlin_models_torch.inputs.per_feature import FeatureDropout, FeatureLayerNorm
from merlin_models_torch.inputs.table import EmbeddingTable
from merlin_models_torch.inputs.tables import EmbeddingDim, by_domain, check_dims, width_of
from merlin_models_torch.inputs.weighted import check_lengths, check_shapes, weights_by_list
from merlin_models_torch.schema import ColumnSchema, Schema, Tags

Context = Literal["broadcast", "late", "stack"]


class ColumnEncoder(nn.Module):
    """What :class:`TabularInputBlock` does before it joins columns; its arguments are explained there."""

    # What builds the block again; kept by the decorator of the class that is built.
    _init_arguments: dict[str, Any]

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: EmbeddingDim,
        continuous_projection: int | Sequence[int] | None,
        init_std: float,
        embeddings: Mapping[str, nn.Module] | None,
        extra_embeddings: Mapping[str, nn.Module] | None,
        crosses: Mapping[str, HashedCross] | None,
        combiner: Combiner | Mapping[str, Combiner] | None,
        context: Context,
        sparse: bool,
        unknown: Unknown,
        layer_norm: bool,
        feature_dropout: float,
    ) -> None:
        super().__init__()
        if context not in ("broadcast", "late", "stack"):
            raise ValueError(f"context must be 'broadcast', 'late' or 'stack', got {context!r}")
        usable = schema.excluding_by_tag(Tags.TARGET)
        self.categorical = usable.select_by_tag(Tags.CATEGORICAL).column_names
        self.continuous = usable.select_by_tag(Tags.CONTINUOUS).column_names
        if not self.categorical and not self.continuous:
            raise ValueError(
                f"the schema has no categorical or continuous column to use, only {schema.column_names}: "
                "tag its columns with Tags.CATEGORICAL or Tags.CONTINUOUS"
            )
        self.schema = schema.select_by_name([*self.categorical, *self.continuous])
        self.lists = [c.name for c in self.schema if c.is_list]
        self.embeddings = Shared(embeddings, self.schema, "embeddings", also=crosses or ())
        self.extra_embeddings = Shared(extra_embeddings, self.schema, "extra_embeddings")
        for name in self.categorical:
            self._check_room(name, self.schema[name])
        hows = column_combiners(combiner, self.lists)
        # By name of the list, the column of its weights, which is no input of its own.
        self.list_weights = weights_by_list(hows, self.continuous, self.schema)
        self.continuous = [name for name in self.continuous if name not in self.list_weights.values()]
        self._check_weighted()
        pooling = {name for name in self.lists if self.embeddings.pools(name) or name in hows}
        pooling |= {*self.list_weights.values()}
        self.sequences = [n for n in self.lists if n not in pooling or is_nested(self.schema[n])]
        self.item_id = self._find_item_id()
        self.keys = [c.name for c in schema.select(Tags.ID) if not c.is_list and c.name != self.item_id]
        self.domains = {name: schema.domain_name(name) for name in self.categorical}
        left_out = self.schema.excluding(self.sequences).column_names
        self.left_out = left_out if context == "late" and self.sequences else []
        self._check_left_out()
        # Every column of a domain needs its table as large as the domain, also those with a module of theirs.
        groups = by_domain(schema.select_by_name(self.categorical))
        check_dims(embedding_dim, [*groups, *(crosses or {})])
        self.tables = nn.ModuleDict()
        for domain, columns in groups.items():
            if all(name in self.embeddings or name in self.left_out for name in columns.column_names):
                continue
            self.tables[domain] = EmbeddingTable(
                columns,
                width_of(embedding_dim, domain, columns),
                sparse=sparse,
                unknown=unknown,
                init_std=init_std,
            )
        self.crosses = nn.ModuleDict(dict(crosses or {}))
        for name, cross in (crosses or {}).items():
            self._add_cross(name, cross, embedding_dim, init_std, sparse)
        hows = {name: how for name, how in hows.items() if name not in self.left_out}
        self.combiners = Shared.of_combiners(hows, {name: self._width(name) for name in hows})
        self.context = context
        self.continuous_projection: nn.Module | None = None
        if continuous_projection is not None and self.continuous:
            units = (
                [continuous_projection] if isinstance(continuous_projection, int) else continuous_projection
            )
            self.continuous_projection = MLPBlock(list(units))
        self.feature_dropout = FeatureDropout(feature_dropout) if feature_dropout else None
        self.layer_norm = FeatureLayerNorm(self._wide()) if layer_norm else None

    def _check_weighted(self) -> None:
        for name, weights in self.list_weights.items():
            if self.embeddings.pools(name):
                raise ValueError(
                    f"the combiner of {name!r} is weighted, and the module of the column makes one vector of "
                    "its lists by itself: give it a module without a combiner"
                )
            if weights in self.embeddings or weights in self.extra_embeddings:
                raise ValueError(
                    f"column {weights!r} holds the weights of {name!r} and has a module too: leave that out, "
                    "weights are no input of their own"
                )

    def _check_left_out(self) -> None:
        for name in self.left_out:
            if name in self.embeddings or name in self.extra_embeddings:
                raise ValueError(
                    f"column {name!r} has a module and is left out by context='late': give the module to the "
                    "block that LateFusion joins"
                )

    def _add_cross(self, name: str, cross: HashedCross, dim: EmbeddingDim, std: float, sparse: bool) -> None:
        missing = [column for column in cross.columns if column not in self.categorical]
        if missing or name in self.schema.column_names or name in self.tables:
            raise ValueError(
                f"the cross {name!r} of {cross.columns} needs categorical columns of the schema and a name "
                f"of its own; the columns are {self.schema.column_names}"
            )
        combined = [
            column for column in cross.columns if column in self.lists and column not in self.sequences
        ]
        if combined and (len(combined) > 1 or any(column in self.sequences for column in cross.columns)):
            raise ValueError(
                f"the cross {name!r} of {cross.columns} has the combined list {combined[0]!r} beside another "
                "list, whose values do not go together one by one: cross one list with columns of the row"
            )
        if all(column in self.left_out for column in cross.columns):
            raise ValueError(
                f"the cross {name!r} is of columns that context='late' leaves out: give it to the block that "
                "LateFusion joins"
            )
        if name in self.embeddings:
            return
        column = ColumnSchema(name, dtype="int64", properties={"domain": {"min": 0, "max": cross.bins}})
        table = EmbeddingTable(column, width_of(dim, name, Schema([column])), init_std=std, sparse=sparse)
        self.tables[name] = table

    def _width(self, name: str) -> int:
        if name in self.embeddings:
            return int(getattr(self.embeddings[name], "dim", 0))
        return self._table(name).embedding_dim if name in self.domains else 1

    def _wide(self) -> list[str]:
        """Names of the vectors that are more than one plain number."""
        names = [name for name in self.categorical if name not in self.left_out]
        names += [*self.crosses, *(name for name in self.continuous if name in self.embeddings)]
        names += [f"{name}_extra" for name in self.extra_embeddings]
        return names if self.continuous_projection is None else [*names, "continuous_projection"]

    def _table(self, name: str) -> EmbeddingTable:
        table: Any = self.tables[self.domains.get(name, name)]
        found: EmbeddingTable = table
        return found

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
        given = self.item_id in self.embeddings
        table = self.embeddings[self.item_id] if given else self._table(self.item_id)
        if not isinstance(table, nn.Embedding):
            raise TypeError(
                f"the items are embedded by a {type(table).__name__}, whose vectors an output cannot share, "
                "expected an EmbeddingTable: leave out weight_tying, or pass such a module as "
                "extra_embeddings, beside the table"
            )
        if isinstance(table, EmbeddingTable) and len(table.domains) > 1:
            raise TypeError(
                f"the table of the items holds the domains {table.domains}: give the items one of their own"
            )
        return table

    @property
    def item_cardinality(self) -> int:
        """Rows of the items' catalogue, padding included, whatever embeds them.

        Raises:
            ValueError: if no column is tagged as item id.
        """
        if self.item_id is None:
            raise ValueError(f"no column is tagged Tags.ITEM_ID among {self.schema.column_names}")
        domain = self.domains[self.item_id]
        sharing = [name for name, other in self.domains.items() if other == domain]
        rows = max(self.schema.cardinality(name) for name in sharing)
        module = self.embeddings[self.item_id] if self.item_id in self.embeddings else self.tables[domain]
        if isinstance(module, EmbeddingTable) and len(module.domains) == 1:
            return max(rows, module.num_embeddings)
        return rows

    def grow(
        self,
        columns: ColumnSchema | Schema,
        *,
        start: Literal["random", "mean", "unknown"] = "random",
        generator: torch.Generator | None = None,
    ) -> Self:
        """Adds rows to the tables of some columns, for new ids; old vectors stay as they are.

        Optimisers have to be made again. Outputs that share the item table grow with it.

        Args:
            columns: of the schema, with their larger domains.
            start: what new rows are, see :meth:`EmbeddingTable.grow`.
            generator: makes the random rows.

        Returns:
            This block.

        Raises:
            ValueError: if a column is not among the categorical ones, or a domain would shrink.
        """
        new = {c.name: c for c in ([columns] if isinstance(columns, ColumnSchema) else columns)}
        odd = [name for name in new if name not in self.categorical]
        if odd:
            raise ValueError(
                f"{odd} are not among the categorical columns {self.categorical}: leave them out"
            )
        for name, column in new.items():
            self._check_room(name, column)
        for table in [*self.tables.values(), *self.embeddings.distinct()]:
            names = table.schema.column_names if isinstance(table, EmbeddingTable) else []
            own = [new[name] for name in names if name in new]
            if own and isinstance(table, EmbeddingTable):
                table.grow(Schema(own), start=start, generator=generator)
        self.schema = _replaced(self.schema, new)
        recorded = self._init_arguments
        self._init_arguments = {**recorded, "schema": _replaced(recorded["schema"], new)}
        if recorded.get("embedding_dim") == "infer":
            # Inferred from the new sizes the widths would be others.
            widths = {domain: self._table(domain).embedding_dim for domain in self.tables}
            self._init_arguments["embedding_dim"] = widths
        return self

    def _check_room(self, name: str, column: ColumnSchema) -> None:
        """Refuses ids of a column whose module has a fixed number of them."""
        largest = (column.properties.get("domain") or {}).get("max")
        rows = 0 if largest is None else int(largest) + 1
        for module in (self.embeddings.find(name), self.extra_embeddings.find(name)):
            if module is None or isinstance(module, EmbeddingTable):
                continue
            has = getattr(module, "num_embeddings", getattr(module, "cardinality", rows))
            if has < rows:
                raise ValueError(
                    f"column {name!r} has ids from 0 to {rows - 1}, and its {type(module).__name__} has "
                    f"{has} rows: make the block with one that has as many, only an EmbeddingTable grows"
                )

    def vectors(self, batch: Batch) -> dict[str, Tensor]:
        """The vectors of each column of the prepared batch before they are aggregated.

        Returns:
            (B, D) or (B, T, D) by name of the column or cross, "continuous_projection", ``<column>_extra``.
        """
        used = [name for name in self.schema.column_names if name not in self.left_out]
        vectors = {name: self._embedded(name, batch) for name in used if name in self.categorical}
        for name, cross in self.crosses.items():
            vectors[name] = self._crossed(name, cross, batch)
        for name in self.extra_embeddings:
            vectors[f"{name}_extra"] = self._by(self.extra_embeddings[name], name, batch)
        numbers: dict[str, Tensor] = {}
        for name in [name for name in used if name in self.continuous]:
            if name in self.embeddings:
                vectors[name] = self._embedded(name, batch)
            else:
                numbers[name] = self._number(name, batch)
        if self.continuous_projection is not None:
            together = self.sequences and self.context != "broadcast"
            joined = {name: v for name, v in numbers.items() if not together or v.dim() == 3}
            rest = {name: v for name, v in numbers.items() if name not in joined}
            if joined:
                rest["continuous_projection"] = self.continuous_projection(concatenated(joined))
            numbers = rest
        vectors |= numbers
        if self.layer_norm is not None:
            vectors = self.layer_norm(vectors)
        return vectors if self.feature_dropout is None else self.feature_dropout(vectors)

    def _embedded(self, name: str, batch: Batch) -> Tensor:
        return self._by(self.embeddings[name] if name in self.embeddings else self._table(name), name, batch)

    def _crossed(self, name: str, cross: nn.Module, batch: Batch) -> Tensor:
        """The vectors of a cross; those of a combined list's values are combined as the list's own are."""
        columns: Any = cross.columns
        features = {column: batch[column] for column in columns}
        combined = next((n for n in columns if n in self.lists and n not in self.sequences), None)
        if combined is None:
            return self._embedded(name, batch.with_features({name: cross(features)}))
        ids = cross({**features, combined: self._matrix(combined, features[combined])[0]})
        vectors = self._embedded(name, batch.with_features({name: ids}))
        weights = self._weights(combined, batch, ids)
        return pooled(vectors, ids != 0, self.combiners.find(combined), weights)

    def _by(self, module: nn.Module, name: str, batch: Batch) -> Tensor:
        """The vectors that a module gives for a column, with its lists combined."""

        def embed(values: Column) -> Any:
            if isinstance(module, EmbeddingTable):
                return module.lookup(values, name)
            found = module(values)
            return found.to(self._dtype(found))

        column = batch[name]
        if getattr(module, "pools", False) and name in self.lists:
            result: Tensor = embed(column)
            return result
        ids, inside = self._matrix(name, column)
        vectors: Tensor = embed(ids)
        if name not in self.lists or (name in self.sequences and ids.dim() == 2):
            return vectors
        return pooled(vectors, inside, self.combiners.find(name), self._weights(name, batch, ids))

    def _weights(self, name: str, batch: Batch, values: Tensor) -> Tensor | None:
        """The weights of the (..., S) values of a list, 0 behind its end; None for a list without some."""
        column = self.list_weights.get(name)
        if column is None:
            return None
        check_lengths(name, batch[name], column, batch[column])
        weights = self._matrix(column, batch[column])[0]
        check_shapes(name, values, column, weights)
        return weights

    def _matrix(self, name: str, column: Column) -> tuple[Tensor, Tensor]:
        """Values and which of them are in use, where that matters."""
        if isinstance(column, Ragged):
            if name in self.sequences or name not in self.lists:
                raise TypeError(
                    f"list column {name!r} is still ragged: call prepare() on the batch before forward()"
                )
            values = column.padded()
            if name not in self.categorical:
                steps = torch.arange(values.shape[1], device=values.device)
                return values, steps < column.lengths[:, None]
            return values, values != 0
        if name not in self.categorical and column.dim() == 3:
            # Inner lists of numbers are filled up with nan, since zeros are numbers as others.
            inside = ~column.isnan()
            return torch.where(inside, column, 0), inside
        return column, column != 0

    def _number(self, name: str, batch: Batch) -> Tensor:
        values, inside = self._matrix(name, batch[name])
        numbers = values.to(self._dtype(values))[..., None]
        if name not in self.lists or (name in self.sequences and values.dim() == 2):
            return numbers
        weights = self._weights(name, batch, values)
        # Zeros are numbers as others; what is behind the end has no weight.
        inside = inside if weights is None else torch.ones_like(inside)
        return pooled(numbers, inside, self.combiners.find(name), weights)

    def _dtype(self, numbers: Tensor) -> torch.dtype:
        """That of the block's weights; without any, of numbers in half precision, which a model made so."""
        half = numbers.dtype in (torch.float16, torch.bfloat16)
        own = numbers.dtype if half else torch.get_default_dtype()
        return next((weight.dtype for weight in self.parameters()), own)


def _replaced(schema: Schema, new: Mapping[str, ColumnSchema]) -> Schema:
    return Schema([new.get(column.name, column) for column in schema])
