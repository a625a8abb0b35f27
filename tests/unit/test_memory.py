"""Memory of one step serves the next."""

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, torch
from merlin_models_torch._memory import keep_freed_memory

class Information(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks mapped".split()]
    _fields_ += [("other_" + str(number), ctypes.c_size_t) for number in range(5)]

allocator = ctypes.CDLL(None)
allocator.mallinfo2.restype = Information
if {keep}:
    keep_freed_memory()
before = allocator.mallinfo2().mapped
table = torch.empty({size}, dtype=torch.uint8)
print(allocator.mallinfo2().mapped - before)
"""
SIZE = 20 * 2**20


def bytes_mapped(keep: bool) -> int:
    """Bytes for a tensor of SIZE that would go back to the kernel as soon as it is freed."""
    command = [sys.executable, "-c", PROGRAM.format(keep=keep, size=SIZE)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="only glibc gives memory back at once, and says so"
)
def test_large_tensors_come_from_memory_that_stays() -> None:
    assert bytes_mapped(keep=False) >= SIZE
    assert bytes_mapped(keep=True) == 0
