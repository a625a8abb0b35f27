"""Parquet files that nobody vouches for: damaged, or made to take more memory than there is."""

from merlin_models_torch.parquet.file import LIMIT, ParquetInput

__all__ = ["LIMIT", "ParquetInput"]
