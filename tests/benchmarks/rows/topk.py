"""The best 100 items of a catalogue for one query or several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 64
K = 100


def prepare(folder: Path, *, queries: int, items: int) -> None:
    random = np.random.default_rng(0)
    np.save(folder / "queries.npy", random.standard_normal((queries, WIDTH), dtype=np.float32))
    np.save(folder / "items.npy", random.standard_normal((items, WIDTH), dtype=np.float32))


def _tensors(folder: Path) -> tuple[Any, Any]:
    import torch

    return torch.from_numpy(np.load(folder / "queries.npy")), torch.from_numpy(np.load(folder / "items.npy"))


def ours(folder: Path, **size: int) -> Callable[[], Any]:
    """Many questions to one catalogue: what is made by the first of them is not measured."""
    from merlin_models_torch.retrieval import ItemIndex

    queries, items = _tensors(folder)
    index = ItemIndex(items)
    for _ in range(40 // queries.shape[0] + 1):
        index.topk(queries, k=K)
    return lambda: index.topk(queries, k=K)


def legacy(folder: Path, **size: int) -> Callable[[], Any]:
    """What NextItemPredictionTask does at inference with ``top_k``."""
    import torch
    from transformers4rec.torch.model.prediction_task import NextItemPredictionPrepareBlock

    queries, items = _tensors(folder)
    head = NextItemPredictionPrepareBlock(
        target_dim=items.shape[0],
        weight_tying=True,
        item_embedding_table=torch.nn.Embedding.from_pretrained(items),
        softmax_temperature=1,
    ).build([-1, WIDTH])

    def run() -> Any:
        with torch.no_grad():
            return torch.topk(head(queries)[0], K)

    return run


def arrays(result: Any) -> dict[str, np.ndarray]:
    # Which of two comes first whose scores differ in the last bit is not what is compared.
    return {"scores": result[0].numpy(), "rows": np.sort(result[1].numpy(), 1)}
