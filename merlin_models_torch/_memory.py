"""Memory that each training step needs again stays with the process."""

from __future__ import annotations

import functools

import torch


@functools.cache
def keep_freed_memory() -> None:
    """Makes glibc keep up to some 60 MB of freed memory for the next step; once in a process.

    By itself it gives the gradient of an item table back as soon as it is freed, and the kernel clears every
    page of the next one. It raises both of its limits when a block that it had mapped is freed, up to blocks
    of 32 MiB (mallopt(3), "M_MMAP_THRESHOLD"), so one such block, never written to, is all it takes. Limits
    that a user set in the environment stay, and other allocators lose nothing.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)
