"""Data sets with a schema file: not offered, each name says what to use."""

from transformers4rec._legacy import absent

__getattr__ = absent(
    __name__,
    "Dataset",
    "ParquetDataset",
)
