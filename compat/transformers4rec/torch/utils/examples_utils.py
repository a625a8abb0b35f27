"""Helpers of the example notebooks: not offered, each name says what to write."""

from transformers4rec._legacy import absent

__getattr__ = absent(__name__, "fit_and_evaluate", "list_files", "visualize_response", "wipe_memory")
