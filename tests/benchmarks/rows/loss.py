"""Softmax cross entropy over the catalogue, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 64


def prepare(folder: Path, *, targets: int, items: int, bf16: bool = False) -> None:
    random = np.random.default_rng(0)
    np.save(folder / "hidden.npy", random.standard_normal((targets, WIDTH), dtype=np.float32))
    np.save(folder / "weight.npy", random.standard_normal((items, WIDTH), dtype=np.float32) * np.float32(0.1))
    np.save(folder / "targets.npy", random.integers(0, items, targets))


def _tensors(folder: Path) -> tuple[Any, Any, Any]:
    import torch

    hidden, weight, targets = (
        torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("hidden", "weight", "targets")
    )
    return hidden.requires_grad_(), weight.requires_grad_(), targets


def ours(folder: Path, *, targets: int, items: int, bf16: bool = False) -> Callable[[], Any]:
    import torch

    from merlin_models_torch.outputs.losses import softmax_cross_entropy

    hidden, weight, labels = _tensors(folder)

    def run() -> Any:
        hidden.grad = weight.grad = None
        loss = softmax_cross_entropy(hidden, weight, labels, compute_dtype=torch.bfloat16 if bf16 else None)
        loss.backward()
        return loss.detach(), hidden.grad, weight.grad

    return run


def legacy(folder: Path, *, targets: int, items: int, bf16: bool = False) -> Callable[[], Any]:
    """The prediction block of NextItemPredictionTask with weight tying, then its default loss."""
    import torch
    from transformers4rec.torch.model.prediction_task import NextItemPredictionPrepareBlock

    hidden, weight, labels = _tensors(folder)
    table = torch.nn.Embedding.from_pretrained(weight.detach(), freeze=False)
    head = NextItemPredictionPrepareBlock(
        target_dim=items, weight_tying=True, item_embedding_table=table, softmax_temperature=1
    ).build([-1, WIDTH])
    cross_entropy = torch.nn.CrossEntropyLoss()

    def run() -> Any:
        hidden.grad = table.weight.grad = None
        logits, same_labels = head(hidden, targets=labels, training=True)
        loss = cross_entropy(logits, same_labels)
        loss.backward()
        return loss.detach(), hidden.grad, table.weight.grad

    return run


def plain(folder: Path, *, targets: int, items: int, bf16: bool = False) -> Callable[[], Any]:
    """What the legacy arm comes down to, in torch alone: runs in the same process as ours."""
    import torch

    hidden, weight, labels = _tensors(folder)
    cross_entropy = torch.nn.CrossEntropyLoss()

    def run() -> Any:
        hidden.grad = weight.grad = None
        loss = cross_entropy(torch.div(hidden @ weight.t(), 1.0), labels)
        loss.backward()
        return loss.detach(), hidden.grad, weight.grad

    return run


def arrays(result: Any) -> dict[str, np.ndarray]:
    loss, of_hidden, of_weight = result
    return {"loss": loss.numpy(), "of_hidden": of_hidden.numpy(), "of_weight": of_weight.numpy()}
