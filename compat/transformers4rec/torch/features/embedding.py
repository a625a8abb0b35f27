"""Embedding tables of categorical columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from merlin.schema import Tags
from merlin_standard_lib import categorical_cardinalities
from merlin_standard_lib.utils.embedding_utils import get_embedding_sizes_from_schema

from transformers4rec._legacy import legacy
from transformers4rec.torch.block.base import SequentialBlock
from transformers4rec.torch.features.base import InputBlock
from transformers4rec.torch.tabular.base import FilterFeatures, TabularTransformation
from transformers4rec.torch.typing import TabularData
from transformers4rec.torch.utils.torch_utils import (
    calculate_batch_size_from_input_size,
    get_output_sizes_from_schema,
)

Initializer = Callable[[torch.Tensor], Any]


@legacy
class TableConfig:
    """One embedding table.

    Args:
        vocabulary_size: its rows.
        dim: its width.
        initializer: draws its weights; normal with standard deviation 0.05 if not given.
        combiner: how a list of ids becomes one vector, "mean", "sum" or "sqrtn".
        name: of the table.

    Raises:
        ValueError: for a size below 1, another combiner, or an initializer that cannot be called.
    """

    def __init__(
        self,
        vocabulary_size: int,
        dim: int,
        initializer: Initializer | None = None,
        combiner: str = "mean",
        name: str | None = None,
    ) -> None:
        for argument, value in {"vocabulary_size": vocabulary_size, "dim": dim}.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"{argument} of table {name!r} has to be an int of at least 1, got {value!r}"
                )
        if combiner not in ("mean", "sum", "sqrtn"):
            raise ValueError(
                f"combiner of table {name!r} has to be 'mean', 'sum' or 'sqrtn', got {combiner!r}"
            )
        if initializer is not None and not callable(initializer):
            raise ValueError(f"initializer of table {name!r} has to be a function of the weights")
        self.vocabulary_size = vocabulary_size
        self.dim = dim
        self.initializer: Initializer = initializer or partial(torch.nn.init.normal_, mean=0.0, std=0.05)
        self.combiner = combiner
        self.name = name

    def __repr__(self) -> str:
        return (
            f"TableConfig(vocabulary_size={self.vocabulary_size!r}, dim={self.dim!r}, "
            f"combiner={self.combiner!r}, name={self.name!r})"
        )


@legacy
class FeatureConfig:
    """The embedding table of one column.

    Args:
        table: the table.
        max_sequence_length: longest list of the column.
        name: of the column.
    """

    def __init__(self, table: TableConfig, max_sequence_length: int = 0, name: str | None = None) -> None:
        self.table = table
        self.max_sequence_length = max_sequence_length
        self.name = name

    def __repr__(self) -> str:
        return (
            f"FeatureConfig(table={self.table!r}, max_sequence_length={self.max_sequence_length!r}, "
            f"name={self.name!r})"
        )


@legacy
class EmbeddingFeatures(InputBlock):
    """An embedding vector for each row of each categorical column; lists are combined to one vector.

    Args:
        feature_config: table of each column.
        item_id: name of the item column.
        pre: transformations of the inputs.
        post: transformations of the outputs.
        aggregation: makes one tensor of them.
        schema: of the columns.
    """

    def __init__(
        self,
        feature_config: dict[str, FeatureConfig],
        item_id: str | None = None,
        pre: Any = None,
        post: Any = None,
        aggregation: Any = None,
        schema: Any = None,
    ) -> None:
        super().__init__(pre=pre, post=post, aggregation=aggregation, schema=schema)
        self.item_id = item_id
        self.feature_config = feature_config
        self.filter_features = FilterFeatures(list(feature_config))
        self.embedding_tables = torch.nn.ModuleDict(
            {name: self.table_to_embedding_module(feature.table) for name, feature in feature_config.items()}
        )

    @property
    def item_embedding_table(self) -> torch.nn.Module:
        """The table of the item column.

        Raises:
            ValueError: if no column is the item's.
        """
        if self.item_id is None:
            raise ValueError("no column has the tag ITEM_ID: add it to the schema, or give item_id")
        return self.embedding_tables[self.item_id]

    def table_to_embedding_module(self, table: TableConfig) -> torch.nn.Module:
        """The module of a table, its weights drawn."""
        module = EmbeddingBagWrapper(table.vocabulary_size, table.dim, mode=table.combiner)
        table.initializer(module.weight)
        return module

    @classmethod
    @legacy
    def from_schema(
        cls,
        schema: Any,
        embedding_dims: dict[str, int] | None = None,
        embedding_dim_default: int = 64,
        infer_embedding_sizes: bool = False,
        infer_embedding_sizes_multiplier: float = 2.0,
        embeddings_initializers: dict[str, Initializer] | None = None,
        combiner: str = "mean",
        tags: Any = None,
        item_id: str | None = None,
        automatic_build: bool = True,
        max_sequence_length: int | None = None,
        aggregation: Any = None,
        pre: Any = None,
        post: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Tables for the categorical columns of a schema; None if there are none.

        Args:
            schema: with the domains of the columns.
            embedding_dims: width of the table by column.
            embedding_dim_default: width of all others.
            infer_embedding_sizes: whether widths follow from the number of ids.
            infer_embedding_sizes_multiplier: times its fourth root.
            embeddings_initializers: what draws the weights, by column.
            combiner: how a list of ids becomes one vector.
            tags: only columns of these tags.
            item_id: name of the item column; the one tagged as such if not given.
            automatic_build: whether sizes follow from the schema.
            max_sequence_length: longest list.
            aggregation: makes one tensor of the outputs.
            pre: transformations of the inputs.
            post: transformations of the outputs.
            **kwargs: ``batch_size``; others are for other blocks.

        Raises:
            ValueError: if several columns are tagged as item.
        """
        if tags:
            schema = schema.select_by_tag(tags)
        items = schema.select_by_tag(Tags.ITEM_ID).column_names
        if not item_id and items:
            if len(items) > 1:
                raise ValueError(f"columns {items} all have the tag ITEM_ID: say which with item_id=")
            item_id = items[0]
        widths = dict(embedding_dims or {})
        if infer_embedding_sizes:
            widths = {**get_embedding_sizes_from_schema(schema, infer_embedding_sizes_multiplier), **widths}
        initializers = embeddings_initializers or {}
        features = {
            name: FeatureConfig(
                TableConfig(
                    vocabulary_size=rows,
                    dim=widths.get(name, embedding_dim_default),
                    name=name,
                    combiner=combiner,
                    initializer=initializers.get(name),
                )
            )
            for name, rows in categorical_cardinalities(schema).items()
        }
        if not features:
            return None
        block = cls(features, item_id=item_id, pre=pre, post=post, aggregation=aggregation)
        if automatic_build and schema:
            sizes = get_output_sizes_from_schema(schema, kwargs.get("batch_size", -1), max_sequence_length)
            block.build(sizes, schema=schema)
        return block

    def item_ids(self, inputs: TabularData) -> torch.Tensor:
        """The item column."""
        return inputs[self.item_id]

    def forward(self, inputs: TabularData, **kwargs: Any) -> TabularData:
        """The vectors of each column.

        The item ids stay on the block as ``item_seq``, where maskings and tasks read them.
        """
        embedded = {
            name: self.embedding_tables[name](ids) for name, ids in self.filter_features(inputs).items()
        }
        if self.item_id:
            self.item_seq = self.item_ids(inputs)
        return embedded

    def forward_output_size(self, input_sizes: dict[str, Any]) -> dict[str, torch.Size]:
        """Rows and width of each column's vectors."""
        rows = calculate_batch_size_from_input_size(input_sizes)
        return {name: torch.Size([rows, feature.table.dim]) for name, feature in self.feature_config.items()}


class EmbeddingBagWrapper(torch.nn.EmbeddingBag):
    """An embedding bag that takes single ids (B,) too."""

    def forward(self, input: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """(B, D) of (B,) or (B, T) ids."""
        return super().forward(input.unsqueeze(-1) if input.dim() == 1 else input, **kwargs)


@legacy
class SoftEmbedding(torch.nn.Module):
    """A number as a weighted mean of learned vectors (arXiv 1708.00065).

    Args:
        num_embeddings: vectors to weigh.
        embeddings_dim: their width.
        emb_initializer: draws them.

    Raises:
        ValueError: for a size below 1.
    """

    def __init__(
        self, num_embeddings: int, embeddings_dim: int, emb_initializer: Initializer | None = None
    ) -> None:
        for argument, value in {"num_embeddings": num_embeddings, "embeddings_dim": embeddings_dim}.items():
            if value < 1:
                raise ValueError(f"{argument} has to be at least 1, got {value}")
        super().__init__()
        self.embedding_table = torch.nn.Embedding(num_embeddings, embeddings_dim)
        if emb_initializer:
            emb_initializer(self.embedding_table.weight)
        self.projection_layer = torch.nn.Linear(1, num_embeddings, bias=True)
        self.softmax = torch.nn.Softmax(dim=-1)

    def forward(self, input_numeric: torch.Tensor) -> torch.Tensor:
        """(..., D) of (...) numbers."""
        weights = self.softmax(self.projection_layer(input_numeric.unsqueeze(-1)))
        return weights @ self.embedding_table.weight


@legacy
class SoftEmbeddingFeatures(EmbeddingFeatures):
    """Soft embeddings of continuous columns.

    Args:
        feature_config: table of each column.
        layer_norm: whether each column's vectors are normalised.
        pre: transformations of the inputs.
        post: transformations of the outputs, where ``layer_norm`` is off.
        aggregation: makes one tensor of them.
        **kwarg: not used.
    """

    def __init__(
        self,
        feature_config: dict[str, FeatureConfig],
        layer_norm: bool = True,
        pre: Any = None,
        post: Any = None,
        aggregation: Any = None,
        **kwarg: Any,
    ) -> None:
        if layer_norm:
            from transformers4rec.torch.tabular.transformations import TabularLayerNorm

            post = TabularLayerNorm.from_feature_config(feature_config)
        super().__init__(feature_config, pre=pre, post=post, aggregation=aggregation)

    @classmethod
    @legacy
    def from_schema(
        cls,
        schema: Any,
        soft_embedding_cardinalities: dict[str, int] | None = None,
        soft_embedding_cardinality_default: int = 10,
        soft_embedding_dims: dict[str, int] | None = None,
        soft_embedding_dim_default: int = 8,
        embeddings_initializers: dict[str, Initializer] | None = None,
        layer_norm: bool = True,
        combiner: str = "mean",
        tags: Any = None,
        automatic_build: bool = True,
        max_sequence_length: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Soft embeddings for the columns of a schema that are not categorical; None if there are none.

        Args:
            schema: of the columns.
            soft_embedding_cardinalities: vectors to weigh, by column.
            soft_embedding_cardinality_default: the same for all others.
            soft_embedding_dims: width of the vectors, by column.
            soft_embedding_dim_default: the same for all others.
            embeddings_initializers: what draws them, by column.
            layer_norm: whether each column's vectors are normalised.
            combiner: kept in the tables; has no effect.
            tags: only columns of these tags.
            automatic_build: whether sizes follow from the schema.
            max_sequence_length: longest list.
            **kwargs: ``batch_size``; others go to the block.
        """
        if tags:
            schema = schema.select_by_tag(tags)
        categorical = categorical_cardinalities(schema)
        rows, widths, initializers = (
            given or {}
            for given in (soft_embedding_cardinalities, soft_embedding_dims, embeddings_initializers)
        )
        features = {
            name: FeatureConfig(
                TableConfig(
                    vocabulary_size=rows.get(name, soft_embedding_cardinality_default),
                    dim=widths.get(name, soft_embedding_dim_default),
                    name=name,
                    combiner=combiner,
                    initializer=initializers.get(name),
                )
            )
            for name in schema.column_names
            if name not in categorical
        }
        if not features:
            return None
        block = cls(features, layer_norm=layer_norm, **kwargs)
        if automatic_build and schema:
            block.build(
                get_output_sizes_from_schema(schema, kwargs.get("batch_size", -1), max_sequence_length)
            )
        return block

    def table_to_embedding_module(self, table: TableConfig) -> torch.nn.Module:
        """The soft embedding of a table."""
        return SoftEmbedding(table.vocabulary_size, table.dim, table.initializer)


@legacy
class PretrainedEmbeddingsInitializer(torch.nn.Module):
    """Fills an embedding table with given vectors.

    Args:
        weight_matrix: (V, D), the first row of it for padding.
        trainable: whether training changes them.
        **kwargs: not used.
    """

    def __init__(self, weight_matrix: Any, trainable: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.weight_matrix = torch.as_tensor(weight_matrix, device="cpu").detach().clone()
        self.trainable = trainable

    def forward(self, x: torch.Tensor) -> None:
        """Writes the vectors into ``x``."""
        with torch.no_grad():
            x.copy_(self.weight_matrix)
        x.requires_grad = self.trainable


_COMBINERS: dict[str, Callable[..., Any]] = {
    "sum": torch.sum,
    "max": torch.amax,
    "min": torch.amin,
    "mean": torch.mean,
}


@legacy
class PretrainedEmbeddingFeatures(InputBlock):
    """Vectors that the data loader brings along.

    Args:
        features: names of the columns.
        pretrained_output_dims: width to project all to, or by column.
        sequence_combiner: how the positions of (B, T, D) columns become one vector, by name or module.
        pre: transformations of the inputs.
        post: transformations of the outputs.
        aggregation: makes one tensor of them.
        normalizer: transformation of the projected vectors, or its name.
        schema: of the columns.
    """

    def __init__(
        self,
        features: list[str],
        pretrained_output_dims: int | dict[str, int] | None = None,
        sequence_combiner: Any = None,
        pre: Any = None,
        post: Any = None,
        aggregation: Any = None,
        normalizer: Any = None,
        schema: Any = None,
    ) -> None:
        normalizer = TabularTransformation.parse(normalizer)
        post = SequentialBlock(normalizer, post) if normalizer and post else normalizer or post
        super().__init__(pre=pre, post=post, aggregation=aggregation, schema=schema)
        self.features = features
        self.filter_features = FilterFeatures(features)
        self.pretrained_output_dims = pretrained_output_dims
        self.sequence_combiner = self.parse_combiner(sequence_combiner)

    def _width(self, name: str) -> int | None:
        widths = self.pretrained_output_dims
        return widths.get(name) if isinstance(widths, dict) else widths

    def build(self, input_size: Any, **kwargs: Any) -> Any:
        """Makes the projections."""
        if input_size is not None and self.pretrained_output_dims:
            self.projection = torch.nn.ModuleDict(
                {
                    name: torch.nn.Linear(input_size[name][-1], width)
                    for name in self.features
                    if (width := self._width(name))
                }
            )
        return super().build(input_size, **kwargs)

    @classmethod
    @legacy
    def from_schema(
        cls,
        schema: Any,
        tags: Any = None,
        pretrained_output_dims: int | dict[str, int] | None = None,
        sequence_combiner: Any = None,
        normalizer: Any = None,
        pre: Any = None,
        post: Any = None,
        aggregation: Any = None,
        **kwargs: Any,
    ) -> PretrainedEmbeddingFeatures:
        """A block over the columns of these tags, maybe none."""
        if tags:
            schema = schema.select_by_tag(tags)
        return cls(
            features=schema.column_names,
            pretrained_output_dims=pretrained_output_dims,
            sequence_combiner=sequence_combiner,
            pre=pre,
            post=post,
            aggregation=aggregation,
            normalizer=normalizer,
        )

    def forward(self, inputs: TabularData) -> TabularData:
        """The vectors, projected and combined."""
        output = self.filter_features(inputs)
        if self.pretrained_output_dims:
            output = {
                name: self.projection[name](x) if name in self.projection else x for name, x in output.items()
            }
        if self.sequence_combiner:
            output = {
                name: self.sequence_combiner(x, axis=1) if x.dim() > 2 else x for name, x in output.items()
            }
        return output

    def forward_output_size(self, input_sizes: dict[str, Any]) -> dict[str, torch.Size]:
        """The columns' sizes with the projected width."""
        sizes = self.filter_features.forward_output_size(input_sizes)
        return {name: torch.Size([*size[:-1], self._width(name) or size[-1]]) for name, size in sizes.items()}

    def parse_combiner(self, combiner: Any) -> Any:
        """The function of a name; anything else as it is."""
        return _COMBINERS.get(combiner, combiner) if isinstance(combiner, str) else combiner
