"""What kind of processor computes: some ways through a loss are fast on one and slow on another."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch

# Instructions without which products of narrow numbers are slow loops on x86.
_INSTRUCTIONS = {
    torch.bfloat16: ("avx512_bf16", "amx_bf16"),
    torch.float16: ("avx512_fp16", "amx_fp16"),
}


@functools.cache
def is_intel() -> bool:
    """Whether the CPU is one of Intel's.

    There a core has a large cache of its own, and what all cores share answers late. On AMD's the shared
    cache is fast.
    """
    return "intel" in str(_capabilities().get("cpu_name", "")).lower()


@functools.cache
def is_wide_amd() -> bool:
    """Whether the CPU is one of AMD's with AVX-512.

    There MKL, which leaves AVX-512 alone, takes twice as long as oneDNN, and torch's softmax less than its
    exponentials. Elsewhere, on AMD's with AVX2 too, MKL is as fast or faster, and so are exponentials.
    """
    return bool(_capabilities().get("avx512_f", False)) and not is_intel()


@functools.cache
def is_narrow_amd() -> bool:
    """Whether the CPU is one of AMD's without AVX-512.

    There torch's powers of two take half the time of its exponentials, which are MKL's.
    """
    x86 = _capabilities().get("architecture") == "x86_64"
    return x86 and not is_intel() and not is_wide_amd()


@functools.cache
def multiplies(dtype: torch.dtype, device: str) -> bool:
    """Whether products of matrices of this dtype take no longer than those of float32.

    On CPUs without instructions for them, products of bfloat16 take ten times as long.

    Args:
        dtype: floating.
        device: kind of device, such as "cpu".
    """
    needed = _INSTRUCTIONS.get(dtype)
    if needed is None or device != "cpu" or _capabilities().get("architecture") != "x86_64":
        return True
    return any(_capabilities().get(name, False) for name in needed)


def _capabilities() -> Mapping[str, Any]:
    return torch.cpu.get_capabilities()
