"""Matrix products on the library that computes them fastest, without gradients of their own."""

from __future__ import annotations

import platform
from typing import Any

import torch
from torch import Tensor

from merlin_models_torch._processor import is_intel
from merlin_models_torch._recording import is_recorded

# Multiply-adds from which oneDNN's shorter work is worth its longer call (measured: equal at 2**20).
_FEWEST = 2**21


def _one_dnn() -> Any:
    """oneDNN's product, ``x @ w.t()`` of dense float32 matrices, or nothing where torch has none for x86.

    torch.compile's generated code calls the same operator.
    """
    if platform.machine() not in ("x86_64", "AMD64") or not torch._C._has_mkldnn:
        return None
    try:
        return torch.ops.mkldnn._linear_pointwise.default
    except AttributeError:
        return None


# torch multiplies float32 matrices on CPU by MKL, which on processors of AMD leaves AVX-512 alone and takes
# twice as long; on Intel's it is faster than oneDNN by a tenth.
_LINEAR: Any = None if is_intel() else _one_dnn()


def takes_one_dnn(left: Tensor, right: Tensor) -> bool:
    """Whether :func:`product` goes to oneDNN: large float32 matrices on a CPU.

    What is compiled, exported, traced or transformed by ``torch.func`` stays torch's, and so does everything
    with ``torch.backends.mkldnn.enabled = False``.

    Args:
        left: (n, k).
        right: (k, m).
    """
    return (
        _LINEAR is not None
        # Before the sizes are looked at, which would bind what is exported to them.
        and not is_recorded()
        and left.shape[0] * right.numel() >= _FEWEST
        and left.dtype is right.dtype is torch.float32
        and left.device.type == right.device.type == "cpu"
        and not torch._C._are_functorch_transforms_active()
        and bool(torch.backends.mkldnn.enabled)
    )


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """``torch.mm(left, right)``, computed apart from autograd.

    Args:
        left: (n, k).
        right: (k, m).
        bias: (m,) added to each row.

    Returns:
        (n, m), equal to ``torch.mm`` up to the order of sums.
    """
    if takes_one_dnn(left, right):
        result: Tensor = _LINEAR(left, right.t(), bias, "none", [], "")
        return result
    return torch.mm(left, right) if bias is None else torch.addmm(bias, left, right)


def put_product(into: Tensor, left: Tensor, right: Tensor, *, add: bool) -> None:
    """Writes ``left @ right`` into a matrix, or adds it.

    Args:
        into: (n, m), changed.
        left: (n, k), fast where it is the transposed of a contiguous matrix.
        right: (k, m).
        add: whether what is there counts.
    """
    if not takes_one_dnn(left, right):
        into.addmm_(left, right, beta=float(add))
    elif add:
        into += product(right.t(), left.t()).t()
    else:
        into.copy_(product(right.t(), left.t()).t())
