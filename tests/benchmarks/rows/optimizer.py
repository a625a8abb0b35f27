"""A step of training the table of a large catalogue.

Without negatives only the optimiser steps, on a gradient for every row. With them the step is whole: vectors
looked up, the loss of each target against the same drawn items, its gradient, and the optimiser. Batch and
items are the same at each step, so that no moment of Adam is left over from rows of other batches: lazy and
dense updates give the same table.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 64
RATE = 1e-3


def prepare(folder: Path, *, items: int, targets: int = 0, negatives: int = 0) -> None:
    random = np.random.default_rng(0)
    weight = random.standard_normal((items, WIDTH), dtype=np.float32)
    np.save(folder / "weight.npy", weight)
    np.save(folder / "targets.npy", random.integers(1, items, targets))
    np.save(folder / "negatives.npy", random.choice(items - 1, negatives, replace=False) + 1)
    np.save(folder / "hidden.npy", random.standard_normal((targets, WIDTH), dtype=np.float32))


def ours(folder: Path, *, items: int, targets: int = 0, negatives: int = 0) -> Callable[[], Any]:
    """The optimiser that :class:`OptimizerConfig` makes: fused, or for sparse gradients."""
    from merlin_models_torch.inputs import EmbeddingTable
    from merlin_models_torch.schema import ColumnSchema
    from merlin_models_torch.training import OptimizerConfig

    weight = _weight(folder)
    column = ColumnSchema("item", dtype="int64", properties={"domain": {"min": 0, "max": items - 1}})
    table = EmbeddingTable(column, WIDTH, sparse=bool(negatives))
    table.weight.data = weight
    return _steps(folder, table, OptimizerConfig("adamw", lr=RATE).build(table))


def legacy(folder: Path, *, items: int, targets: int = 0, negatives: int = 0) -> Callable[[], Any]:
    """Dense gradients and the optimiser that Transformers4Rec's Trainer makes by default."""
    import torch
    from transformers4rec.config.trainer import T4RecTrainingArguments
    from transformers4rec.torch import Trainer

    arguments = T4RecTrainingArguments(str(folder / "out"), learning_rate=RATE, no_cuda=True)
    cls, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
    table = torch.nn.Embedding.from_pretrained(_weight(folder), freeze=False, padding_idx=0)
    return _steps(folder, table, cls(table.parameters(), **options))


def _weight(folder: Path) -> Any:
    import torch

    return torch.from_numpy(np.load(folder / "weight.npy"))


def _steps(folder: Path, table: Any, optimizer: Any) -> Callable[[], Any]:
    import torch

    hidden, targets, negatives = (
        torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("hidden", "targets", "negatives")
    )
    if not len(targets):
        # Away from 0, where the two place epsilon differently.
        table.weight.grad = table.weight.detach().sin() + 2

        def step() -> Any:
            optimizer.step()
            return table.weight.detach()

        return step
    touched = torch.cat([targets, negatives]).unique()

    def whole() -> Any:
        optimizer.zero_grad()
        positive = (hidden * table(targets)).sum(1, keepdim=True)
        scores = torch.cat([positive, hidden @ table(negatives).T], 1)
        torch.nn.functional.cross_entropy(scores, torch.zeros_like(targets)).backward()
        optimizer.step()
        return table.weight.detach(), touched

    return whole


def arrays(result: Any) -> dict[str, np.ndarray]:
    if not isinstance(result, tuple):
        return {"some": result[::1000].numpy(), "mean": result.double().mean().numpy()}
    weight, touched = result
    return {"touched": weight[touched].numpy(), "mean": weight.double().mean().numpy()}
