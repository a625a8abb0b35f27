"""Memory of one step serves the next."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, torch
from merlin_models_torch._memory import keep_freed_memory

def faults_of_a_step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tiles = [torch.ones(3 * 2**18) for _ in range(15)]
    del tiles
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if {keep}:
    keep_freed_memory()
faults = [faults_of_a_step() for _ in range(4)]
print(faults[-1] * resource.getpagesize())
"""


def bytes_cleared_anew(keep: bool) -> int:
    command = [sys.executable, "-c", PROGRAM.format(keep=keep)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back at once")
def test_a_step_takes_the_memory_of_the_one_before() -> None:
    """15 blocks of 3 MiB."""
    assert bytes_cleared_anew(keep=True) < 2**20
    assert bytes_cleared_anew(keep=False) > 10 * 2**20
