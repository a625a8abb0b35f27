"""Losses and answers make nothing as large as the scores of all queries for all items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from merlin_models_torch.metrics import RankingMetrics
from merlin_models_torch.outputs.losses import softmax_cross_entropy
from merlin_models_torch.retrieval import ItemIndex, topk_blockwise

WIDTH = 4


class Largest(TorchDispatchMode):
    """Notes the largest piece of memory that any operation gives back."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return found


def loss(queries: torch.Tensor, items: torch.Tensor) -> None:
    targets = torch.arange(len(queries))
    softmax_cross_entropy(
        queries.requires_grad_(), items.requires_grad_(), targets, label_smoothing=0.1
    ).backward()


def measured(queries: torch.Tensor, items: torch.Tensor) -> None:
    metrics = RankingMetrics(metrics=("ndcg",), top_ks=(10,))
    metrics.update(ItemIndex(items).topk(queries, k=10)[1], torch.arange(len(queries)))
    metrics.compute()


WAYS: dict[str, Callable[[torch.Tensor, torch.Tensor], object]] = {
    "loss": loss,
    "topk_blockwise": lambda queries, items: topk_blockwise(queries, items, k=10),
    "index": lambda queries, items: ItemIndex(items).topk(queries, k=10),
    "metrics": measured,
}


def largest(way: str, queries: int, items: int) -> int:
    generator = torch.Generator().manual_seed(0)
    table, asked = (torch.randn(rows, WIDTH, generator=generator) for rows in (items, queries))
    with Largest() as mode:
        WAYS[way](asked, table)
    return mode.bytes


@pytest.mark.parametrize("way", WAYS)
def test_memory_does_not_depend_on_queries_times_items(way: str) -> None:
    few, many = largest(way, 256, 30_000), largest(way, 1024, 60_000)
    scores = 1024 * 60_000 * 4
    assert many < scores / 6
    # Eight times the scores; what there is besides them grows with one of both, but for the size of a piece.
    assert many <= 4 * few


def test_all_scores_at_once_would_be_seen() -> None:
    with Largest() as mode:
        (torch.randn(64, WIDTH) @ torch.randn(1000, WIDTH).T).topk(10)
    assert mode.bytes == 64 * 1000 * 4
