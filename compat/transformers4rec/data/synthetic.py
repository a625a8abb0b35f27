"""Synthetic sessions: not offered, each name says what to use."""

from transformers4rec._legacy import absent

__getattr__ = absent(
    __name__,
    "generate_session_interactions",
    "generate_item_interactions",
    "synthetic_ecommerce_data_schema",
)
