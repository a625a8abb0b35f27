"""Matrix products on the library that computes them fastest, without gradients of their own."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import torch
from torch import Tensor

from merlin_models_torch._processor import is_intel, is_narrow_amd, is_wide_amd
from merlin_models_torch._recording import is_recorded

# Multiply-adds from which oneDNN's shorter work is worth its longer call (measured: equal at 2**20).
_FEWEST = 2**21
# float32 numbers of a cache line.
LINE = 16
# Numbers of a matrix from which its rows are put apart (measured: equal at 2**15).
_FEWEST_APART = 2**16


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


# torch multiplies float32 matrices on CPU by MKL, which on Intel's processors is faster by a tenth, and on
# AMD's without AVX-512 by a sixth of a whole loss.
_LINEAR: Any = _one_dnn() if is_wide_amd() else None


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
        (n, m), equal to ``torch.mm`` up to the order of sums; rows as :func:`in_lines` lays them.
    """
    if takes_one_dnn(left, right):
        result: Tensor = _LINEAR(left, right.t(), bias, "none", [], "")
        return result
    if bias is not None:
        return torch.addmm(bias, left, right)
    plain = type(left) is type(right) is Tensor and not is_recorded() and not torch.is_grad_enabled()
    if plain and left.dtype is right.dtype and not torch._C._are_functorch_transforms_active():
        return torch.mm(left, right, out=in_lines(left, left.shape[0], right.shape[1]))
    return torch.mm(left, right)


def in_lines(like: Tensor, rows: int, columns: int) -> Tensor:
    """An empty matrix to write a product to, each of its rows at the start of a cache line where that pays.

    On AMD's processors without AVX-512 MKL takes twice as long to write rows that do not start there, such as
    those of a catalogue of 10,001 items.

    Args:
        like: whose device and dtype it has.
        rows: n.
        columns: m.

    Returns:
        (n, m); between its rows there may be room, of less than two lines.
    """
    apart = (
        is_narrow_amd()
        # Before the sizes are looked at, which would bind what is exported to them.
        and not is_recorded()
        and columns % LINE != 0
        and rows > 1
        and rows * columns >= _FEWEST_APART
        and like.device.type == "cpu"
        and like.dtype is torch.float32
    )
    # An odd number of lines: rows a power of two apart would share few places of the cache.
    width = (-(-columns // LINE) | 1) * LINE if apart else columns
    return like.new_empty(rows, width)[:, :columns]


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


def put_scores(into: Tensor, queries: Tensor, items: Tensor) -> None:
    """Writes ``queries @ items.T``, without gradients; of one query mostly as fast as memory is read.

    On processors of AMD that takes NumPy's OpenBLAS: MKL takes half as long again there.

    Args:
        into: (B, v), changed.
        queries: (B, D).
        items: (v, D) of the same dtype, by rows or by columns.
    """
    if len(queries) == 1 and not items.is_contiguous() and items.t().is_contiguous():
        torch.mv(items, queries[0], out=into[0])
        return
    plain = all(type(tensor) is Tensor and tensor.is_contiguous() for tensor in (into, queries, items))
    on_cpu = into.device.type == items.device.type == "cpu" and items.dtype is torch.float32
    if len(queries) == 1 and plain and on_cpu and not is_intel() and not is_recorded():
        np.matmul(items.detach().numpy(), queries[0].detach().numpy(), out=into[0].numpy())
    else:
        torch.mm(queries, items.T, out=into)
