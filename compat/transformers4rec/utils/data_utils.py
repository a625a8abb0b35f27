"""Events to sessions: not offered, each name says what to use."""

from transformers4rec._legacy import absent

__getattr__ = absent(
    __name__,
    "remove_consecutive_interactions",
    "session_aggregator",
    "save_time_based_splits",
    "add_item_first_seen_col_to_df",
)
