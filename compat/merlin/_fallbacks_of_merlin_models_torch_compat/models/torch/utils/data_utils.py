"""``merlin.models.torch.utils.data_utils`` of V1: the drop-in for Transformers4Rec has it."""

from merlin.models._legacy import served

__getattr__ = served(
    __name__,
    {
        "transformers4rec.torch.utils.data_utils": """
            NVTabularDataLoader ParquetDataset PyarrowDataLoader ShuffleDataset
            T4RecDataLoader
        """,
    },
)
