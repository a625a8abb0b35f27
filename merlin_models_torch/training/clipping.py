"""Gradient clipping where some gradients are sparse or shared out, which torch's own does not take."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.utils import get_total_norm


def has_special_gradient(parameters: Iterable[nn.Parameter]) -> bool:
    """Whether one of the gradients is sparse, or has its rows in several processes."""
    return any(p.grad is not None and (isinstance(p.grad, DTensor) or p.grad.is_sparse) for p in parameters)


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float, *, by: str = "norm") -> None:
    """What ``clip_grad_norm_`` and ``clip_grad_value_`` of torch do, for all kinds of gradients together.

    Args:
        parameters: whose gradients are changed in place.
        limit: largest norm of all gradients together, or largest absolute value of each number.
        by: "norm" or "value".
    """
    learning = [p for p in parameters if p.grad is not None]
    values = [_values(p) for p in learning]
    if by == "value":
        for each in values:
            each.clamp_(-limit, limit)
        return
    # As in torch: no division by 0, and no wait for the device to tell whether the norm is too large.
    factor = (limit / (_norm(learning, values) + 1e-6)).clamp(max=1.0)
    for each in values:
        each.mul_(factor.to(each.device))


def _norm(parameters: list[nn.Parameter], values: list[Tensor]) -> Tensor:
    """The norm of all gradients: of those that are shared out, every process knows its own part."""
    kinds = [isinstance(p.grad, DTensor) for p in parameters]
    whole = get_total_norm([v for v, shared in zip(values, kinds, strict=True) if not shared])
    if not any(kinds):
        return whole
    squared = get_total_norm([v for v, shared in zip(values, kinds, strict=True) if shared]) ** 2
    mesh = next(p.grad.device_mesh for p in parameters if isinstance(p.grad, DTensor))
    torch.distributed.all_reduce(squared, group=mesh.get_group(mesh.ndim - 1))
    return (whole**2 + squared.to(whole.device)).sqrt()


def _values(parameter: nn.Parameter) -> Tensor:
    """The numbers of a gradient; of a sparse one those of the rows looked up, each row once."""
    gradient = parameter.grad
    if isinstance(gradient, DTensor):
        own: Tensor = gradient.to_local()
        return own
    if gradient is None or not gradient.is_sparse:
        return torch.empty(0) if gradient is None else gradient
    parameter.grad = gradient = gradient.coalesce()
    return gradient.values()
