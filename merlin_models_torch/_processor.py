"""What kind of processor computes: some ways through a loss are fast on one and slow on another."""

from __future__ import annotations

import functools

import torch


@functools.cache
def is_intel() -> bool:
    """Whether the CPU is one of Intel's.

    There MKL is fast, a core has a large cache of its own, and what all cores share answers late. On AMD's,
    MKL leaves AVX-512 alone, and the shared cache is fast.
    """
    return "intel" in str(torch.cpu.get_capabilities().get("cpu_name", "")).lower()
