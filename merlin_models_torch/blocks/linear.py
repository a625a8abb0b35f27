"""Linear layers whose products are cheap on CPU."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from merlin_models_torch._products import product, takes_one_dnn
from merlin_models_torch._recording import is_recorded
from merlin_models_torch.serialize import serializable

# Multiply-adds from which three shorter products are worth a function of our own (measured: equal at 2**22).
_FEWEST = 2**22


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``torch.nn.functional.linear``, by the faster library of products where it is large enough.

    Args:
        inputs: (..., K) floating.
        weight: (M, K).
        bias: (M,) added to each row.

    Returns:
        (..., M).
    """
    # Sizes may be symbols while a program is recorded, and a question would bind them; what is no tensor,
    # torch refuses.
    if is_recorded() or not isinstance(inputs, Tensor):
        return F.linear(inputs, weight, bias)
    if inputs.dim() < 2 or weight.dim() != 2:
        return F.linear(inputs, weight, bias)
    count, width = inputs.shape[:-1].numel(), inputs.shape[-1]
    if count * weight.numel() < _FEWEST or width != weight.shape[1] or torch.is_autocast_enabled("cpu"):
        return F.linear(inputs, weight, bias)
    rows = inputs.reshape(count, width)
    if not takes_one_dnn(rows, weight.t()):
        return F.linear(inputs, weight, bias)
    result: Tensor = _Linear.apply(rows, weight, bias)  # type: ignore[no-untyped-call]
    return result.view(*inputs.shape[:-1], weight.shape[0])


class _Linear(Function):
    """A linear layer of (N, K) rows, each of its three products by :func:`product`."""

    @staticmethod
    def forward(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return product(rows, weight.t(), bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
        rows, weight, _ = inputs
        ctx.save_for_backward(rows, weight)

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        (grad,) = above
        # A gradient that is to have one itself is made by torch.
        multiply = torch.mm if torch.is_grad_enabled() else product
        of_rows = multiply(grad, weight) if ctx.needs_input_grad[0] else None
        of_weight = None
        if ctx.needs_input_grad[1]:
            # The library copies what comes first if it is transposed: the narrower of the two does.
            narrow = rows.shape[1] < grad.shape[1]
            of_weight = multiply(rows.t(), grad).t() if narrow else multiply(grad.t(), rows)
        of_bias = grad.sum(0) if ctx.needs_input_grad[2] else None
        return of_rows, of_weight, of_bias


@serializable
class Linear(nn.Linear):
    """``torch.nn.Linear`` by :func:`linear`, with the same parameters and numbers up to the order of sums.

    Args:
        in_features: width of the inputs.
        out_features: width of the result.
        bias: whether to learn an additive bias.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        return linear(input, self.weight, self.bias)
