"""Embedding tables of categorical columns."""

from __future__ import annotations

from typing import Any

import torch
from merlin.schema import Tags
from merlin_standard_lib import categorical_cardinalities
from merlin_standard_lib.utils.embedding_utils import get_embedding_sizes_from_schema

from transformers4rec._legacy import Refused, legacy
from transformers4rec.torch.features._tables import FeatureConfig, Initializer, TableConfig
from transformers4rec.torch.features.base import InputBlock
from transformers4rec.torch.tabular.base import FilterFeatures
from transformers4rec.torch.typing import TabularData
from transformers4rec.torch.utils.torch_utils import (
    calculate_batch_size_from_input_size,
    get_output_sizes_from_schema,
)

_HOME = "transformers4rec.torch.features.embedding"


@legacy(home=_HOME)
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
            Refused: if no column is the item's.
        """
        if self.item_id is None:
            raise Refused("no column has the tag ITEM_ID: add it to the schema, or give item_id")
        return self.embedding_tables[self.item_id]

    def table_to_embedding_module(self, table: TableConfig) -> torch.nn.Module:
        """The module of a table, its weights drawn."""
        module = EmbeddingBagWrapper(table.vocabulary_size, table.dim, mode=table.combiner)
        table.initializer(module.weight)
        return module

    @classmethod
    @legacy(home=_HOME)
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
        embedded = {name: self._looked_up(name, ids) for name, ids in self.filter_features(inputs).items()}
        if self.item_id:
            self.item_seq = self.item_ids(inputs)
        return embedded

    def _looked_up(self, name: str, ids: torch.Tensor) -> torch.Tensor:
        table = self.embedding_tables[name]
        try:
            vectors: torch.Tensor = table(ids)
        except IndexError as error:
            rows = table.weight.shape[0]
            wrong = ids[(ids < 0) | (ids >= rows)]
            if not len(wrong):
                raise
            raise IndexError(
                f"column {name!r} has the id {int(wrong[0])}, its table has rows for 0 to {rows - 1}: "
                "make the largest id the max of the column's domain in the schema"
            ) from error
        return vectors

    def forward_output_size(self, input_sizes: dict[str, Any]) -> dict[str, torch.Size]:
        """Rows and width of each column's vectors."""
        rows = calculate_batch_size_from_input_size(input_sizes)
        return {name: torch.Size([rows, feature.table.dim]) for name, feature in self.feature_config.items()}


class EmbeddingBagWrapper(torch.nn.EmbeddingBag):
    """An embedding bag that takes single ids (B,) too."""

    def forward(self, input: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """(B, D) of (B,) or (B, T) ids."""
        return super().forward(input.unsqueeze(-1) if input.dim() == 1 else input, **kwargs)
