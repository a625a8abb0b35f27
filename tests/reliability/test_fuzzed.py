"""Damaged files of every kind are read as well as can be, or refused by an error that names the file."""

import sys
from typing import Any

import pytest

from tests.reliability.programs import told_by

PARQUET = (
    "dataset",
    "old names",
    "loader",
    "streamed",
    "predict",
    "raw ids",
    "seen",
    "events",
    "inferred",
    "vocabulary",
    "shared",
    "lengths",
)
DROP_IN = ("drop-in", "drop-in weights")
TEXT = ("pbtxt", "json", "config", "weights", "manifest", "signature", "npy", "safetensors")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the program says that reads nearly a thousand damaged files."""
    return told_by("fuzz_program", tmp_path_factory.mktemp("fuzzed"), "1")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("name", [*PARQUET, *DROP_IN, *TEXT])
def test_damage_is_harmless_or_refused_by_name(name: str, outcomes: Any) -> None:
    found = outcomes[name]
    assert found["wrong"] == []
    assert found["refused"] > found["fine"] / 2
    assert found["ended"] == []
