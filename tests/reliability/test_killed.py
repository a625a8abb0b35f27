"""Killed at any moment: nothing looks whole that is not, and the same command, run again, ends the same."""

import sys
from typing import Any

import pytest

from tests.reliability.programs import told_by


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the program says that kills; 70 processes or so."""
    return told_by("kill_program", tmp_path_factory.mktemp("killed"))


# How many operations on files each is killed at, at least: fewer mean that the kills miss something.
@pytest.mark.skipif(sys.platform != "linux", reason="signals and limits of Linux")
@pytest.mark.parametrize(
    ("name", "operations"),
    [
        ("save", 10),
        ("save over", 4),
        ("save over, step by step", 5),
        ("checkpoint", 3),
        ("checkpoint over", 3),
        ("export", 3),
        ("export over", 2),
        ("predict", 8),
        ("rerank", 4),
        ("report", 1),
        ("report over", 1),
        ("prepare", 5),
        ("rewrite", 4),
        ("train", 4),
    ],
)
def test_nothing_looks_whole_that_is_not_and_the_rerun_ends_the_same(
    name: str, operations: int, reports: Any
) -> None:
    report = reports[name]
    assert report["wrong"] == []
    assert report["operations"] >= operations
    if name in ("save", "predict"):
        assert report["sizes"] > 0
