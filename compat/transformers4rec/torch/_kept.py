"""What an evaluation keeps of its batches, joined once at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from transformers4rec._legacy import tell_once
from transformers4rec.torch.utils.torch_utils import concat_batches, nested_numpify, nested_truncate


@dataclass
class Kept:
    """Losses, predictions and labels of the batches so far.

    Args:
        batch_size: rows that each loss stands for.
    """

    batch_size: int
    losses: list[Tensor] = field(default_factory=list)
    predictions: list[Any] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    rows: int = 0

    def to_cpu(self) -> None:
        """Moves everything off the accelerator."""
        for kept in (self.losses, self.predictions, self.labels):
            kept[:] = [_on_cpu(tensors) for tensors in kept]

    def loss(self) -> float:
        """The mean loss over rows: each batch stands for a full one, the last for the rows left over."""
        losses = torch.stack(self.losses).double().cpu()
        starts = torch.arange(len(losses)) * self.batch_size
        weights = (min(self.rows, len(losses) * self.batch_size) - starts).clamp(0, self.batch_size)
        weighted = float((losses * weights).sum() / weights.sum())
        self._tell_of_other_mean(losses, weighted)
        return weighted

    def _tell_of_other_mean(self, losses: Tensor, weighted: float) -> None:
        """Warns once where batches of more targets should have counted more, by a percent of the loss."""
        if len(self.labels) != len(losses) or not all(isinstance(labels, Tensor) for labels in self.labels):
            return
        targets = torch.tensor([len(labels) for labels in self.labels], dtype=torch.float64)
        if abs(float((losses * targets).sum() / targets.sum()) - weighted) > 0.01 * abs(weighted):
            tell_once(
                "loss by rows",
                "the loss of the evaluation weighs batches by their rows, not by their targets, as in "
                "Transformers4Rec 23.12.0, and the mean over targets is another: go by the metrics, or "
                "evaluate with mm.Model. See migration_guides/what-differs.md",
            )

    def all_predictions(self) -> Any:
        """Arrays of at most as many rows as there were sessions; None without predictions."""
        return self._joined(self.predictions, -100)

    def all_labels(self) -> Any:
        """The same of the labels, narrower batches filled with 0."""
        return self._joined(self.labels, 0)

    def _joined(self, batches: list[Any], padding: int) -> Any:
        if not batches:
            return None
        return nested_truncate(nested_numpify(concat_batches(batches, padding)), self.rows)


def _on_cpu(tensors: Any) -> Any:
    if isinstance(tensors, list | tuple):
        return type(tensors)(_on_cpu(tensor) for tensor in tensors)
    if isinstance(tensors, dict):
        return {name: _on_cpu(tensor) for name, tensor in tensors.items()}
    return tensors.cpu()
