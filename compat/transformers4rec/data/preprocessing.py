"""The module path that ``transformers4rec.utils.data_utils`` had before 23.04."""

from __future__ import annotations

from transformers4rec._legacy import elsewhere

__getattr__ = elsewhere(
    __name__,
    {
        "transformers4rec.utils.data_utils": "FIRST_SEEN_ITEM_COL_NAME add_item_first_seen_col_to_df"
        " remove_consecutive_interactions save_time_based_splits session_aggregator"
    },
)
