"""Data sets to try things on: 1000 generated rows each, with the columns that 23.12.0 had."""

from merlin_migrate.packages import submodules

from transformers4rec.data.testing.dataset import tabular_sequence_testing_data
from transformers4rec.data.testing.music_streaming.dataset import music_streaming_testing_data
from transformers4rec.data.testing.tabular_data.dataset import tabular_testing_data

__all__ = ["music_streaming_testing_data", "tabular_sequence_testing_data", "tabular_testing_data"]

__getattr__ = submodules(__name__)
