"""Gradient clipping where some gradients are sparse, which torch's own clipping does not take."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm


def has_sparse_gradient(parameters: Iterable[nn.Parameter]) -> bool:
    """Whether one of the gradients is sparse."""
    return any(p.grad is not None and p.grad.is_sparse for p in parameters)


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float, *, by: str = "norm") -> None:
    """What ``clip_grad_norm_`` and ``clip_grad_value_`` of torch do, for dense and sparse gradients together.

    Args:
        parameters: whose gradients are changed in place.
        limit: largest norm of all gradients together, or largest absolute value of each number.
        by: "norm" or "value".
    """
    values = [_values(p) for p in parameters if p.grad is not None]
    if by == "value":
        for each in values:
            each.clamp_(-limit, limit)
        return
    # As in torch: no division by 0, and no wait for the device to tell whether the norm is too large.
    factor = (limit / (get_total_norm(values) + 1e-6)).clamp(max=1.0)
    for each in values:
        each.mul_(factor.to(each.device))


def _values(parameter: nn.Parameter) -> Tensor:
    """The numbers of a gradient; of a sparse one those of the rows looked up, each row once."""
    gradient = parameter.grad
    if gradient is None or not gradient.is_sparse:
        return torch.empty(0) if gradient is None else gradient
    parameter.grad = gradient = gradient.coalesce()
    return gradient.values()
