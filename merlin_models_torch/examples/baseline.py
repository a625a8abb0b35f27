"""What recommending without learning would reach: the least that a model has to beat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from merlin_models_torch.data import ParquetLoader, SessionFiles
from merlin_models_torch.metrics import RankingMetrics
from merlin_models_torch.retrieval import topk_blockwise
from merlin_models_torch.schema import Tags

Asked = Literal["last", "all"]


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
    evaluate_on: Asked = "last",
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
        evaluate_on: "last" asks for the last item of each session, "all" for every item but the first.
        exclude_seen: items that the session has shown are not answers.
        batch_size: sessions ranked at a time.

    Returns:
        Means over the test sessions by name, such as "hit_rate_at_10".

    Raises:
        ValueError: if there is no test split, or a cut-off is larger than the number of items.
    """
    counts = item_counts(files)[:, None].double()
    never = _no_items(files, _item_column(files))
    measured = RankingMetrics(metrics=metrics, top_ks=top_ks)
    for seen, targets in _questions(files, evaluate_on, batch_size):
        _, answers = topk_blockwise(
            torch.ones(len(targets), 1, dtype=torch.float64),
            counts,
            k=measured.max_k,
            exclude=seen if exclude_seen else None,
            never=never,
        )
        measured.update(answers, targets)
    return {name: value.item() for name, value in measured.compute().items()}


def followers(files: SessionFiles, *, k: int, batch_size: int = 4096) -> Tensor:
    """The items that most often came right after each item in training.

    Args:
        files: what ``sessions_from_events`` wrote.
        k: items wanted.
        batch_size: sessions counted at a time.

    Returns:
        (V, k) int64 rows of the catalogue, the most frequent first and equally frequent ones in the order of
        the catalogue; -1 where fewer ever followed.
    """
    item = _item_column(files)
    size, unreal = files.schema.cardinality(item), len(_no_items(files, item))
    pairs = []
    for batch in ParquetLoader(files.train, files.schema.select_by_name([item]), batch_size=batch_size):
        codes = batch.padded(item)
        before, after = codes[:, :-1], codes[:, 1:]
        pairs.append((before * size + after)[(before >= unreal) & (after >= unreal)])
    distinct, counts = torch.unique(torch.cat(pairs), return_counts=True)
    before = distinct // size
    order = (before * (counts.max() + 1) + counts.max() - counts).argsort(stable=True)
    before, after = before[order], (distinct % size)[order]
    first = torch.searchsorted(before, before)
    rank = torch.arange(len(before)) - first
    table = torch.full((size, k), -1)
    table[before[rank < k], rank[rank < k]] = after[rank < k]
    return table


def follower_metrics(
    files: SessionFiles,
    *,
    metrics: Sequence[str] = ("hit_rate", "ndcg", "mrr"),
    top_ks: Sequence[int] = (5, 10, 20),
    evaluate_on: Asked = "last",
    batch_size: int = 1024,
) -> dict[str, float]:
    """Ranking measures of answering with what most often followed the item seen last; see :func:`followers`.

    Args:
        files: as for :func:`popularity_metrics`, as are the others.
        metrics: see there.
        top_ks: see there.
        evaluate_on: see there.
        batch_size: see there.

    Returns:
        Means over the test sessions by name, such as "hit_rate_at_10".

    Raises:
        ValueError: if there is no test split.
    """
    measured = RankingMetrics(metrics=metrics, top_ks=top_ks)
    table = followers(files, k=measured.max_k)
    for seen, targets in _questions(files, evaluate_on, batch_size):
        last = seen.gather(1, (seen >= 0).sum(1, keepdim=True) - 1).squeeze(1)
        measured.update(table[last], targets)
    return {name: value.item() for name, value in measured.compute().items()}


def _questions(files: SessionFiles, which: Asked, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """What test sessions had shown, (N, T) filled up with -1, and the item that came next, (N,)."""
    if not files.test:
        raise ValueError(
            f"{files.folder} has no test split: prepare it with split='leave-one-out' or 'time-window'"
        )
    item = _item_column(files)
    for batch in ParquetLoader(files.test, files.schema.select_by_name([item]), batch_size=batch_size):
        codes, lengths = batch.padded(item), batch.lengths(item)[:, None]
        steps = torch.arange(codes.shape[1])
        asked = (steps > 0) & ((steps < lengths) if which == "all" else (steps == lengths - 1))
        rows, at = asked.nonzero(as_tuple=True)
        if len(rows):
            yield torch.where(steps < at[:, None], codes[rows], -1), codes[rows, at]


def _item_column(files: SessionFiles) -> str:
    return files.schema.select_by_tag(Tags.ITEM_ID).first.name


def _no_items(files: SessionFiles, item: str) -> range:
    """Rows of the catalogue that stand for no item."""
    return range(files.vocabularies[files.schema.domain_name(item)].first)
