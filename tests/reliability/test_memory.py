"""The memory that answers take does not grow with the number of rows, where they are written as they come."""

import sys
from pathlib import Path

import pytest

from tests.reliability.programs import told_by


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in KiB")
def test_memory_is_the_same_for_eight_times_the_rows(tmp_path: Path) -> None:
    told = told_by("memory_program", tmp_path, MALLOC_ARENA_MAX="1")
    for sizes in told.values():
        growth = {how: (large - small) / 1024 for how, (small, large) in sizes.items()}
        # 4,096 and 32,768 sessions, 32,768 and 262,144 clicks: held they take 22 and 26 MiB more.
        assert growth["written"] < 5, sizes
        assert growth["held"] > 12, sizes
