"""Log loss over all labels of a data set, on any number of devices."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class LogLoss(Metric):
    """Mean of ``-y log p - (1 - y) log(1 - p)``, for labels y and probabilities p.

    Probabilities are kept away from 0 and 1 by the smallest step of their dtype, as scikit-learn does.

    Example:
        >>> metric = LogLoss()
        >>> metric.update(torch.tensor([0.5, 0.25]), torch.tensor([1, 0]))
        >>> round(metric.compute().item(), 4)
        0.4904
    """

    is_differentiable = True
    higher_is_better = False
    full_state_update = False

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds some labels.

        Args:
            preds: (N,) float probabilities.
            target: (N,) labels 0 and 1.
        """
        step = torch.finfo(preds.dtype).eps
        preds, target = preds.clamp(step, 1 - step), target.to(preds.dtype)
        each = -(target * preds.log() + (1 - target) * (1 - preds).log())
        self.total += each.sum().to(self.total.dtype)
        self.count += each.shape[0]

    def compute(self) -> Tensor:
        """The mean so far; nan before the first label."""
        return (self.total / self.count).float()
