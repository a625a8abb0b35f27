"""``merlin.models.torch.features.tabular`` of V1: what is asked of the tables does not reach the numbers."""

from __future__ import annotations

from typing import Any

from merlin.models._legacy import legacy
from merlin.models.torch.tabular.transformations import StochasticSwapNoise
from merlin.schema import Tags
from transformers4rec.torch.features.tabular import TabularFeatures as LaterFeatures
from transformers4rec.torch.utils.torch_utils import get_output_sizes_from_schema

_NOISE = ("stochastic-swap-noise", "ssn")


@legacy
class TabularFeatures(LaterFeatures):
    """An input block for numbers and ids.

    Args:
        continuous_module: for continuous columns.
        categorical_module: for categorical columns.
        text_embedding_module: for texts.
        pre: transformations of the inputs.
        post: transformations of the outputs.
        aggregation: makes one tensor of them.
        schema: of the columns.
    """

    def __init__(
        self,
        continuous_module: Any = None,
        categorical_module: Any = None,
        text_embedding_module: Any = None,
        pre: Any = None,
        post: Any = None,
        aggregation: Any = None,
        schema: Any = None,
    ) -> None:
        super().__init__(
            continuous_module,
            categorical_module,
            pre=pre,
            post=post,
            aggregation=aggregation,
            schema=schema,
        )
        if text_embedding_module:
            self.to_merge["text_embedding_module"] = text_embedding_module

    @classmethod
    @legacy
    def from_schema(  # type: ignore[override]
        cls,
        schema: Any,
        continuous_tags: Any = (Tags.CONTINUOUS,),
        categorical_tags: Any = (Tags.CATEGORICAL,),
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
            aggregation: makes one tensor of the outputs.
            automatic_build: whether sizes follow from the schema.
            max_sequence_length: longest list.
            continuous_projection: width, or widths, of one projection of all continuous columns.
            continuous_soft_embeddings: whether continuous columns become soft embeddings.
            **kwargs: of the tables, and of the soft embeddings; ``pre`` and ``post`` among them.

        Raises:
            ValueError: for a projection without ``automatic_build``.
        """
        if continuous_projection and not automatic_build:
            raise ValueError(
                "continuous_projection needs the sizes of the columns: leave automatic_build=True"
            )
        if kwargs.get("pre") in _NOISE:
            kwargs["pre"] = StochasticSwapNoise()
        soft = continuous_soft_embeddings
        numbers = cls.SOFT_EMBEDDING_MODULE_CLASS if soft else cls.CONTINUOUS_MODULE_CLASS
        block = cls(
            numbers.from_schema(schema, tags=continuous_tags, **(kwargs if soft else {}))
            if continuous_tags
            else None,
            cls.EMBEDDING_MODULE_CLASS.from_schema(schema, tags=categorical_tags, **kwargs)
            if categorical_tags
            else None,
            aggregation=aggregation,
        )
        if automatic_build and schema:
            sizes = get_output_sizes_from_schema(schema, kwargs.get("batch_size", -1), max_sequence_length)
            block.build(sizes, schema=schema)
        return block.project_continuous_features(continuous_projection) if continuous_projection else block
