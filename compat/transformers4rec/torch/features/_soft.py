"""Soft embeddings of continuous columns."""

from __future__ import annotations

from typing import Any

import torch
from merlin_standard_lib import categorical_cardinalities

from transformers4rec._legacy import Refused, legacy
from transformers4rec.torch.features._lookup import EmbeddingFeatures
from transformers4rec.torch.features._tables import FeatureConfig, Initializer, TableConfig
from transformers4rec.torch.utils.torch_utils import get_output_sizes_from_schema

_HOME = "transformers4rec.torch.features.embedding"


@legacy(home=_HOME)
class SoftEmbedding(torch.nn.Module):
    """A number as a weighted mean of learned vectors (arXiv 1708.00065).

    Args:
        num_embeddings: vectors to weigh.
        embeddings_dim: their width.
        emb_initializer: draws them.

    Raises:
        Refused: for a size below 1.
    """

    def __init__(
        self, num_embeddings: int, embeddings_dim: int, emb_initializer: Initializer | None = None
    ) -> None:
        for argument, value in {"num_embeddings": num_embeddings, "embeddings_dim": embeddings_dim}.items():
            if value < 1:
                raise Refused(f"{argument} has to be at least 1, got {value}")
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


@legacy(home=_HOME)
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
    @legacy(home=_HOME)
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
