"""Recall, NDCG and average precision at 10 and 20 from the scores of a whole catalogue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TOP_KS = (10, 20)


def prepare(folder: Path, *, queries: int, items: int) -> None:
    random = np.random.default_rng(0)
    scores = random.standard_normal((queries, items), dtype=np.float32)
    targets = random.integers(0, items, queries)
    # Half of the targets are lifted into the first few dozen answers, so that there is something to find.
    lifted = np.arange(0, queries, 2)
    scores[lifted, targets[lifted]] = random.uniform(3.2, 5.0, len(lifted)).astype(np.float32)
    np.save(folder / "scores.npy", scores)
    np.save(folder / "targets.npy", targets)


def _tensors(folder: Path) -> tuple[Any, Any]:
    import torch

    return torch.from_numpy(np.load(folder / "scores.npy")), torch.from_numpy(np.load(folder / "targets.npy"))


def ours(folder: Path, **size: int) -> Callable[[], Any]:
    from merlin_models_torch.metrics import RankingMetrics
    from merlin_models_torch.retrieval import topk_of_scores

    scores, targets = _tensors(folder)

    def run() -> Any:
        metrics = RankingMetrics(metrics=("recall", "ndcg", "map"), top_ks=TOP_KS)
        metrics.update(topk_of_scores(scores, k=metrics.max_k)[1], targets)
        return list(metrics.compute().values())

    return run


def legacy(folder: Path, **size: int) -> Callable[[], Any]:
    from transformers4rec.torch.ranking_metric import AvgPrecisionAt, NDCGAt, RecallAt

    scores, targets = _tensors(folder)

    def run() -> Any:
        results = []
        for kind in (RecallAt, NDCGAt, AvgPrecisionAt):
            metric = kind(top_ks=list(TOP_KS), labels_onehot=True)
            metric(scores, targets)
            results.extend(metric.compute())
        return results

    return run


def arrays(result: Any) -> dict[str, np.ndarray]:
    return {"means": np.array([value.item() for value in result])}
