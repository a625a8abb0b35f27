"""Names of metrics in the results of the old trainer and of Lightning."""

from __future__ import annotations

import re

METRICS = {
    "ndcg": "ndcg",
    "recall": "recall",
    "precision": "precision",
    "avg_precision": "map",
    "mean_reciprocal_rank": "mrr",
}
_METRIC = re.compile(rf"(?:\w+_/)?next-item/({'|'.join(METRICS)})_at_(\d+)")
_LOSS = re.compile(r"\w+_/loss")


def new_key(key: str) -> str | None:
    """The key of the new API for a legacy metric key such as ``eval_/next-item/ndcg_at_10``.

    ``Model.evaluate`` left out what stands before ``next-item``.
    """
    if _LOSS.fullmatch(key):
        return "val_loss"
    if found := _METRIC.fullmatch(key):
        return f"val_{METRICS[found[1]]}_at_{found[2]}"
    return None
