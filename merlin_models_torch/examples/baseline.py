"""What recommending the most popular items would reach: the least that a model has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from merlin_models_torch.data import ParquetLoader, SessionFiles
from merlin_models_torch.metrics import RankingMetrics
from merlin_models_torch.retrieval import topk_blockwise
from merlin_models_torch.schema import Tags


def item_counts(files: SessionFiles, *, batch_size: int = 4096) -> Tensor:
    """How often each item occurs in the training sessions.

    Args:
        files: what ``sessions_from_events`` wrote.
        batch_size: sessions counted at a time.

    Returns:
        (V,) int64 by row of the catalogue; 0 for rows that stand for no item (padding, unknown).
    """
    item = _item_column(files)
    counts = torch.zeros(files.schema.cardinality(item), dtype=torch.int64)
    for batch in ParquetLoader(files.train, files.schema.select_by_name([item]), batch_size=batch_size):
        codes = batch.padded(item)
        counts += torch.bincount(codes[codes > 0], minlength=len(counts))
    counts[list(_no_items(files, item))] = 0
    return counts


def popular_items(files: SessionFiles, *, k: int) -> list[Any]:
    """The original ids of the k most popular training items, the most popular first.

    Args:
        files: what ``sessions_from_events`` wrote.
        k: items wanted.

    Raises:
        ValueError: if there are fewer items.
    """
    item = _item_column(files)
    counts = item_counts(files)
    _, rows = topk_blockwise(
        torch.ones(1, 1, dtype=torch.float64), counts[:, None].double(), k=k, never=_no_items(files, item)
    )
    ids: list[Any] = files.vocabularies[files.schema.domain_name(item)].decode(rows[0].numpy()).to_pylist()
    return ids


def popularity_metrics(
    files: SessionFiles,
    *,
    metrics: Sequence[str] = ("hit_rate", "ndcg", "mrr"),
    top_ks: Sequence[int] = (5, 10, 20),
    exclude_seen: bool = False,
    batch_size: int = 1024,
) -> dict[str, float]:
    """Ranking measures of the most popular training items as the answer to every test session.

    As a model's test does, it asks for the last item of each session; a session of one item asks nothing.
    Equally popular items come in the order of the catalogue.

    Args:
        files: what ``sessions_from_events`` wrote, with a test split.
        metrics: names of ranking metrics, see :class:`merlin_models_torch.RankingMetrics`.
        top_ks: cut-offs of the metrics.
        exclude_seen: items that the session has shown are not answers.
        batch_size: sessions ranked at a time.

    Returns:
        Means over the test sessions by name, such as "hit_rate_at_10".

    Raises:
        ValueError: if there is no test split, or a cut-off is larger than the number of items.
    """
    if not files.test:
        raise ValueError(
            f"{files.folder} has no test split: prepare it with split='leave-one-out' or 'time-window'"
        )
    item = _item_column(files)
    counts = item_counts(files)
    measured = RankingMetrics(metrics=metrics, top_ks=top_ks)
    for batch in ParquetLoader(files.test, files.schema.select_by_name([item]), batch_size=batch_size):
        codes, lengths = batch.padded(item), batch.lengths(item)
        codes, lengths = codes[lengths > 1], lengths[lengths > 1]
        if not len(codes):
            continue
        last = lengths[:, None] - 1
        seen = torch.where(torch.arange(codes.shape[1]) < last, codes, -1)
        _, answers = topk_blockwise(
            torch.ones(len(codes), 1, dtype=torch.float64),
            counts[:, None].double(),
            k=measured.max_k,
            exclude=seen if exclude_seen else None,
            never=_no_items(files, item),
        )
        measured.update(answers, codes.gather(1, last).squeeze(1))
    return {name: value.item() for name, value in measured.compute().items()}


def _item_column(files: SessionFiles) -> str:
    return files.schema.select_by_tag(Tags.ITEM_ID).first.name


def _no_items(files: SessionFiles, item: str) -> range:
    """Rows of the catalogue that stand for no item."""
    return range(files.vocabularies[files.schema.domain_name(item)].first)
