"""Large tables in large pages of memory: fewer addresses to look up while they are read and written."""

from __future__ import annotations

import ctypes
import functools
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

# Bytes from which a tensor is worth the calls, and a page of those that it is to lie in.
LARGE = 2**24
_PAGE = mmap.PAGESIZE
# madvise(2): joins pages that are there already. Linux 6.1 and newer; Python's mmap has no name for it yet.
_COLLAPSE = 25
_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@functools.cache
def _madvise() -> Callable[..., int] | None:
    """The C library's call, where the kernel gives large pages to those who ask, and only to them.

    Where it gives them to all ("always") or none ("never") there is nothing to ask for.
    """
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    try:
        if "[madvise]" not in _SETTING.read_text():
            return None
        found: Any = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    found.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return found  # type: ignore[no-any-return]


def use_large_pages(tensor: Tensor, *, written: bool) -> None:
    """Asks the kernel to hold a large tensor on CPU in pages of 2 MiB instead of 4 KiB.

    Adam's pass over a table of a million rows takes three quarters of the time then. It is
    advice: where the kernel does not follow it nothing changes but time.

    Args:
        tensor: whose memory; left alone if it is smaller than ``LARGE``.
        written: whether it has been written to, so that pages which are there must be joined.
    """
    size = tensor.untyped_storage().nbytes() if tensor.device.type == "cpu" else 0
    if size < LARGE or (advise := _madvise()) is None:
        return
    start = tensor.untyped_storage().data_ptr()
    first, end = -(-start // _PAGE) * _PAGE, (start + size) // _PAGE * _PAGE
    if advise(first, end - first, mmap.MADV_HUGEPAGE) == 0 and written:
        advise(first, end - first, _COLLAPSE)


class LargePages:
    """A hook after an optimiser's step: the first time, what it steps over goes into large pages.

    After the step, because optimisers make their moments in the first one.
    """

    def __init__(self) -> None:
        self._done = False

    def __call__(self, optimizer: Optimizer, *_: Any) -> None:
        """Moves parameters, moments and gradients that stay; what torch calls."""
        if self._done:
            return
        self._done = True
        for parameter, state in optimizer.state.items():
            for tensor in (parameter, parameter.grad, *state.values()):
                # Others are made of several, as those of torch.distributed.
                if type(tensor) in (Tensor, Parameter) and not tensor.is_sparse:
                    use_large_pages(tensor, written=True)
