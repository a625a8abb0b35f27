"""Embeddings of columns, under their module's name."""

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
