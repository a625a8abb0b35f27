"""Input blocks for sequences."""

from __future__ import annotations

from typing import Any

import torch
from merlin.schema import Tags

from transformers4rec._legacy import elsewhere, legacy
from transformers4rec.torch.block.mlp import MLPBlock
from transformers4rec.torch.features.embedding import EmbeddingFeatures, FeatureConfig, TableConfig
from transformers4rec.torch.features.tabular import TabularFeatures
from transformers4rec.torch.masking import masking_registry
from transformers4rec.torch.typing import TabularData

__getattr__ = elsewhere(
    __name__,
    {
        "merlin_standard_lib": "Schema",
        "transformers4rec.torch.block.base": "BlockOrModule BuildableBlock SequentialBlock",
        "transformers4rec.torch.masking": "MaskSequence",
        "transformers4rec.torch.tabular.base": "AsTabular TabularAggregationType TabularModule"
        " TabularTransformationType",
    },
)


@legacy
class SequenceEmbeddingFeatures(EmbeddingFeatures):
    """An embedding vector for each position of each categorical list column.

    Args:
        feature_config: table of each column.
        item_id: name of the item column.
        padding_idx: id of padding, whose vector takes no gradient.
        pre: transformations of the inputs.
        post: transformations of the outputs.
        aggregation: makes one tensor of them.
        schema: of the columns.
    """

    def __init__(
        self,
        feature_config: dict[str, FeatureConfig],
        item_id: str | None = None,
        padding_idx: int = 0,
        pre: Any = None,
        post: Any = None,
        aggregation: Any = None,
        schema: Any = None,
    ) -> None:
        self.padding_idx = padding_idx
        super().__init__(
            feature_config, item_id=item_id, pre=pre, post=post, aggregation=aggregation, schema=schema
        )

    def table_to_embedding_module(self, table: TableConfig) -> torch.nn.Embedding:
        """The module of a table, its weights drawn; that of padding too, as in 23.12.0."""
        module = torch.nn.Embedding(table.vocabulary_size, table.dim, padding_idx=self.padding_idx)
        table.initializer(module.weight)
        return module

    def forward_output_size(self, input_sizes: dict[str, Any]) -> dict[str, torch.Size]:
        """The columns' sizes with the width of their table last."""
        return {
            name: torch.Size([*input_sizes[name], feature.table.dim])
            for name, feature in self.feature_config.items()
        }


@legacy
class TabularSequenceFeatures(TabularFeatures):
    """An input block for sequences of all kinds of columns, with projection and masking.

    Args:
        continuous_module: for continuous columns.
        categorical_module: for categorical columns.
        pretrained_embedding_module: for vectors that come with the data.
        projection_module: applied to the aggregated columns.
        masking: hides positions and sets the targets.
        pre: transformations of the inputs.
        post: transformations of the outputs.
        aggregation: makes one tensor of them.
        schema: of the columns.
        **kwargs: not used.
    """

    EMBEDDING_MODULE_CLASS = SequenceEmbeddingFeatures

    def __init__(
        self,
        continuous_module: Any = None,
        categorical_module: Any = None,
        pretrained_embedding_module: Any = None,
        projection_module: Any = None,
        masking: Any = None,
        pre: Any = None,
        post: Any = None,
        aggregation: Any = None,
        schema: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            continuous_module,
            categorical_module,
            pretrained_embedding_module,
            pre=pre,
            post=post,
            aggregation=aggregation,
            schema=schema,
            **kwargs,
        )
        self.projection_module = projection_module
        self.set_masking(masking)

    @classmethod
    @legacy
    def from_schema(
        cls,
        schema: Any,
        continuous_tags: Any = (Tags.CONTINUOUS,),
        categorical_tags: Any = (Tags.CATEGORICAL,),
        pretrained_embeddings_tags: Any = (Tags.EMBEDDING,),
        aggregation: Any = None,
        automatic_build: bool = True,
        max_sequence_length: int | None = None,
        continuous_projection: int | list[int] | None = None,
        continuous_soft_embeddings: bool = False,
        projection: Any = None,
        d_output: int | None = None,
        masking: Any = None,
        **kwargs: Any,
    ) -> Any:
        """An input block for the columns of a schema.

        Args:
            schema: of the columns.
            continuous_tags: which are continuous.
            categorical_tags: which are categorical.
            pretrained_embeddings_tags: which are vectors.
            aggregation: makes one tensor of the outputs; "concat" where something follows it.
            automatic_build: whether sizes follow from the schema.
            max_sequence_length: length of the sequences.
            continuous_projection: width, or widths, of one projection of all continuous columns.
            continuous_soft_embeddings: whether continuous columns become soft embeddings.
            projection: block applied to the aggregated columns.
            d_output: width of a projection by one layer; not together with ``projection``.
            masking: a masking, or the registered name of one.
            **kwargs: of the masking and of the blocks of the kinds of columns.

        Raises:
            ValueError: for both projections, or for a masking without item column.
            KeyError: for an unknown masking.
        """
        if d_output and projection:
            raise ValueError("d_output and projection are two ways to say the same: give one of them")
        block = super().from_schema(
            schema=schema,
            continuous_tags=continuous_tags,
            categorical_tags=categorical_tags,
            pretrained_embeddings_tags=pretrained_embeddings_tags,
            aggregation=aggregation,
            automatic_build=automatic_build,
            max_sequence_length=max_sequence_length,
            continuous_projection=continuous_projection,
            continuous_soft_embeddings=continuous_soft_embeddings,
            **kwargs,
        )
        if (projection or masking or d_output) and not aggregation:
            block.aggregation = "concat"
        size = block.output_size()
        if d_output:
            projection = MLPBlock([d_output])
        if projection:
            block.projection_module = projection.build(size) if hasattr(projection, "build") else projection
        if masking and not block.item_id:
            raise ValueError(
                f"a masking needs the item column, but no categorical column of {schema.column_names} has "
                "the tag ITEM_ID: add it to the schema"
            )
        if isinstance(masking, str):
            masking = masking_registry.parse(masking)(hidden_size=block.output_size()[-1], **kwargs)
        block.set_masking(masking)
        return block

    @property
    def masking(self) -> Any:
        """Hides positions and sets the targets; None if nothing does."""
        return self._masking

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "masking" and not (value is None or isinstance(value, torch.nn.Module)):
            raise AttributeError(
                f"masking is a MaskSequence or None, got {value!r}: give one, such as "
                "masking_registry.parse('mlm')(hidden_size=...), or from_schema(masking=...) a name"
            )
        # torch would register a module under this name and leave the property with the old one.
        super().__setattr__("_masking" if name == "masking" else name, value)

    def set_masking(self, value: Any) -> None:
        """Takes another masking, or none."""
        self._masking = value

    @property
    def item_id(self) -> str | None:
        """Name of the item column."""
        return getattr(self.categorical_module, "item_id", None)

    @property
    def item_embedding_table(self) -> torch.nn.Module | None:
        """Embedding table of the item column."""
        return getattr(self.categorical_module, "item_embedding_table", None)

    def forward(
        self, inputs: TabularData, training: bool = False, testing: bool = False, **kwargs: Any
    ) -> TabularData | torch.Tensor:
        """The sequence of vectors, projected and masked.

        Args:
            inputs: (B, T) list columns.
            training: whether the masking is that of training.
            testing: whether it is that of evaluation; neither means inference.
            **kwargs: not used.

        Returns:
            (B, T, D) where there is an aggregation, one position more at the inference of masked modelling;
            else the columns.
        """
        outputs: Any = super().forward(inputs)
        if self.masking or self.projection_module:
            outputs = self.aggregation(outputs)
        if self.projection_module:
            outputs = self.projection_module(outputs)
        if self.masking:
            items = self.to_merge["categorical_module"].item_seq
            outputs = self.masking(outputs, item_ids=items, training=training, testing=testing)
        return outputs

    def project_continuous_features(self, dimensions: int | list[int]) -> Any:
        """Replaces the continuous columns by one projection of all of them, of this width or these."""
        return super().project_continuous_features(dimensions)

    def forward_output_size(self, input_size: Any) -> Any:
        """Size of the projection, or of the aggregated columns, or the sizes of the columns."""
        sizes = self._check_post_output_size(super().forward_output_size(input_size))
        return self.projection_module.output_size() if self.projection_module else sizes


TabularFeaturesType = TabularSequenceFeatures | TabularFeatures
