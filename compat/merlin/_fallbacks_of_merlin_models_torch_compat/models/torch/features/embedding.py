"""``merlin.models.torch.features.embedding`` of V1: the drop-in for Transformers4Rec has it."""

from merlin.models._legacy import served

__getattr__ = served(
    __name__,
    {
        "transformers4rec.torch.features.embedding": """
            EmbeddingBagWrapper EmbeddingFeatures FeatureConfig SoftEmbedding
            SoftEmbeddingFeatures TableConfig
        """,
    },
)
