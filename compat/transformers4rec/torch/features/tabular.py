"""Continuous, categorical and pretrained columns together."""

from __future__ import annotations

from typing import Any

from merlin.schema import Tags

from transformers4rec._legacy import Refused, elsewhere, legacy
from transformers4rec.torch.block.base import SequentialBlock
from transformers4rec.torch.block.mlp import MLPBlock
from transformers4rec.torch.features.continuous import ContinuousFeatures
from transformers4rec.torch.features.embedding import (
    EmbeddingFeatures,
    PretrainedEmbeddingFeatures,
    SoftEmbeddingFeatures,
)
from transformers4rec.torch.tabular.base import AsTabular, MergeTabular
from transformers4rec.torch.utils.torch_utils import get_output_sizes_from_schema

__getattr__ = elsewhere(
    __name__,
    {
        "merlin_standard_lib": "Schema",
        "transformers4rec.torch.tabular.base": "TabularAggregationType TabularModule"
        " TabularTransformationType",
    },
)


@legacy
class TabularFeatures(MergeTabular):
    """An input block for all kinds of columns.

    Args:
        continuous_module: for continuous columns.
        categorical_module: for categorical columns.
        pretrained_embedding_module: for vectors that come with the data.
        pre: transformations of the inputs.
        post: transformations of the outputs.
        aggregation: makes one tensor of them.
        schema: of the columns.
        **kwargs: not used.

    Raises:
        Refused: if there is no module at all.
    """

    CONTINUOUS_MODULE_CLASS: Any = ContinuousFeatures
    EMBEDDING_MODULE_CLASS: Any = EmbeddingFeatures
    SOFT_EMBEDDING_MODULE_CLASS: Any = SoftEmbeddingFeatures
    PRETRAINED_EMBEDDING_MODULE_CLASS: Any = PretrainedEmbeddingFeatures

    def __init__(
        self,
        continuous_module: Any = None,
        categorical_module: Any = None,
        pretrained_embedding_module: Any = None,
        pre: Any = None,
        post: Any = None,
        aggregation: Any = None,
        schema: Any = None,
        **kwargs: Any,
    ) -> None:
        modules = {
            "continuous_module": continuous_module,
            "categorical_module": categorical_module,
            "pretrained_embedding_module": pretrained_embedding_module,
        }
        given = {name: module for name, module in modules.items() if module}
        if not given:
            raise Refused(
                f"an input block needs at least one of {sorted(modules)}: check the tags of the schema"
            )
        super().__init__(given, pre=pre, post=post, aggregation=aggregation, schema=schema, **kwargs)

    def project_continuous_features(self, mlp_layers_dims: int | list[int]) -> TabularFeatures:
        """Replaces the continuous columns by one projection of all of them.

        Args:
            mlp_layers_dims: width of the projection, or of each of its layers.
        """
        continuous = self.to_merge["continuous_module"]
        continuous.aggregation = "concat"
        self.to_merge["continuous_module"] = SequentialBlock(
            continuous, MLPBlock(mlp_layers_dims), AsTabular("continuous_projection")
        )
        return self

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
        **kwargs: Any,
    ) -> Any:
        """An input block for the columns of a schema.

        Args:
            schema: of the columns.
            continuous_tags: which are continuous.
            categorical_tags: which are categorical.
            pretrained_embeddings_tags: which are vectors.
            aggregation: makes one tensor of the outputs.
            automatic_build: whether sizes follow from the schema.
            max_sequence_length: longest list.
            continuous_projection: width, or widths, of one projection of all continuous columns.
            continuous_soft_embeddings: whether continuous columns become soft embeddings.
            **kwargs: of the blocks of the kinds of columns.

        Raises:
            ValueError: for a projection without ``automatic_build``.
        """
        if continuous_projection and not automatic_build:
            raise ValueError(
                "continuous_projection needs the sizes of the columns: leave automatic_build=True"
            )
        continuous, soft = cls.CONTINUOUS_MODULE_CLASS, cls.SOFT_EMBEDDING_MODULE_CLASS
        kinds = {
            "continuous_module": (soft if continuous_soft_embeddings else continuous, continuous_tags),
            "categorical_module": (cls.EMBEDDING_MODULE_CLASS, categorical_tags),
            "pretrained_embedding_module": (
                cls.PRETRAINED_EMBEDDING_MODULE_CLASS,
                pretrained_embeddings_tags,
            ),
        }
        modules = {
            name: kind.from_schema(schema, tags=tags, **kwargs)
            for name, (kind, tags) in kinds.items()
            if tags
        }
        block = cls(**modules, aggregation=aggregation)
        if automatic_build and schema:
            sizes = get_output_sizes_from_schema(schema, kwargs.get("batch_size", -1), max_sequence_length)
            block.build(sizes, schema=schema)
        return block.project_continuous_features(continuous_projection) if continuous_projection else block

    def forward_output_size(self, input_size: Any) -> Any:
        """The sizes of all modules' outputs."""
        sizes: dict[str, Any] = {}
        for module in self.merge_values:
            sizes.update(module.forward_output_size(input_size))
        return sizes

    def _module(self, name: str) -> Any:
        return dict(self.to_merge.items()).get(name)

    @property
    def continuous_module(self) -> Any:
        """For continuous columns, None if there are none."""
        return self._module("continuous_module")

    @property
    def categorical_module(self) -> Any:
        """For categorical columns, None if there are none."""
        return self._module("categorical_module")

    @property
    def pretrained_module(self) -> Any:
        """For vectors that come with the data, None if there are none."""
        return self._module("pretrained_embedding_module")
