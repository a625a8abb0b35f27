"""``merlin.models.torch.losses`` of V1: label smoothing of log-probabilities."""

from __future__ import annotations

from typing import Literal

import torch
from merlin.models._legacy import legacy
from torch import Tensor, nn


@legacy
class LabelSmoothCrossEntropyLoss(nn.Module):
    """Cross entropy of log-probabilities with a part of the target spread over the other classes.

    The later Transformers4Rec has ``torch.nn.CrossEntropyLoss`` under this name: it takes logits and spreads
    over all classes, the target's own among them.

    Args:
        weight: (C,) factor of each class.
        reduction: of the rows.
        smoothing: part of the target, from 0 to below 1.

    Raises:
        ValueError: if ``smoothing`` or ``reduction`` is something else.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        reduction: Literal["mean", "sum", "none"] = "mean",
        smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing is {smoothing}: give a number from 0 to below 1")
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction is {reduction!r}: give 'mean', 'sum' or 'none'")
        self.register_buffer("weight", weight)
        self.reduction = reduction
        self.smoothing = smoothing

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The loss.

        Args:
            inputs: (N, C) log-probabilities.
            targets: (N,) int64 classes.
        """
        classes = inputs.size(-1)
        smooth = torch.full_like(inputs, self.smoothing / max(classes - 1, 1))
        smooth.scatter_(1, targets.unsqueeze(1), 1 - self.smoothing)
        weighted = inputs if self.weight is None else inputs * self.weight
        loss = -(smooth * weighted).sum(-1)
        return loss if self.reduction == "none" else getattr(loss, self.reduction)()
