"""Example data: not offered, each name says what to use."""

from transformers4rec._legacy import absent

__getattr__ = absent(
    __name__,
    "tabular_sequence_testing_data",
    "music_streaming_testing_data",
    "tabular_testing_data",
)
