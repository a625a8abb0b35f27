"""Losses by their legacy names."""

from __future__ import annotations

from typing import Any

import torch

from transformers4rec._legacy import legacy


@legacy
def LabelSmoothCrossEntropyLoss(
    smoothing: float = 0.0, reduction: str = "mean", **kwargs: Any
) -> torch.nn.CrossEntropyLoss:
    """Cross entropy with label smoothing: torch's own, by another name.

    Args:
        smoothing: share of the target's probability spread over all classes.
        reduction: "mean", "sum" or "none".
        **kwargs: of ``torch.nn.CrossEntropyLoss``.
    """
    return torch.nn.CrossEntropyLoss(label_smoothing=smoothing, reduction=reduction, **kwargs)
