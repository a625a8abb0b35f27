"""The clicks of the RecSys Challenge 2015."""

from __future__ import annotations

from typing import Any

from transformers4rec._legacy import legacy

_DATA_SET = "chadgostopp/recsys-challenge-2015"


@legacy
def download(output_path: str) -> str:
    """Downloads the data by the Kaggle client, which has to be installed and logged in.

    Args:
        output_path: folder that gets the files.
    """
    from kaggle import api

    api.authenticate()
    api.dataset_download_files(_DATA_SET, path=output_path, unzip=True)
    return output_path


@legacy
def process_clicks(data_path: str, device: str = "gpu") -> Any:
    """Clicks without repetitions, with the time at which each item was first seen.

    Args:
        data_path: the file ``yoochoose-clicks.dat``.
        device: not used.

    Returns:
        A pandas frame of session_id, timestamp, item_id, category and item_ts_first.
    """
    import pandas as pd

    from transformers4rec.utils.data_utils import (
        add_item_first_seen_col_to_df,
        remove_consecutive_interactions,
    )

    names = ["session_id", "timestamp", "item_id", "category"]
    clicks = pd.read_csv(data_path, names=names, parse_dates=["timestamp"], low_memory=False)
    return add_item_first_seen_col_to_df(remove_consecutive_interactions(clicks))
