"""Embeddings of columns, under their module's name."""

from transformers4rec._legacy import also, elsewhere
from transformers4rec.torch.features._lookup import EmbeddingBagWrapper, EmbeddingFeatures
from transformers4rec.torch.features._pretrained import (
    PretrainedEmbeddingFeatures,
    PretrainedEmbeddingsInitializer,
)
from transformers4rec.torch.features._soft import SoftEmbedding, SoftEmbeddingFeatures
from transformers4rec.torch.features._tables import FeatureConfig, TableConfig

__all__ = [
    "EmbeddingBagWrapper",
    "EmbeddingFeatures",
    "FeatureConfig",
    "PretrainedEmbeddingFeatures",
    "PretrainedEmbeddingsInitializer",
    "SoftEmbedding",
    "SoftEmbeddingFeatures",
    "TableConfig",
]

_HOMES = {
    "merlin_standard_lib": "Schema categorical_cardinalities",
    "merlin_standard_lib.utils.embedding_utils": "get_embedding_sizes_from_schema",
    "transformers4rec.torch.block.base": "SequentialBlock",
    "transformers4rec.torch.features.base": "InputBlock",
    "transformers4rec.torch.tabular.base": "FilterFeatures TabularAggregationType TabularTransformation"
    " TabularTransformationType",
    "transformers4rec.torch.utils.torch_utils": "calculate_batch_size_from_input_size"
    " get_output_sizes_from_schema",
}
__all__ += also(__name__, _HOMES)
__getattr__ = elsewhere(__name__, _HOMES)
