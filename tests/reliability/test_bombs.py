"""Files of some kB that unpack to gigabytes are refused by file and column before the memory is taken."""

import sys
from typing import Any

import pytest

from tests.reliability.programs import told_by

COLUMNS = {
    "loader": ("item_id", "lists"),
    "streamed": ("item_id", "lists"),
    "inferred": ("item_id", "lists"),
    "predict": ("item_id", "lists"),
    "raw ids": ("item_id", "named"),
    "keys": ("user_id", "keyed"),
    "seen": ("user_id", "keyed"),
    "events": ("session_id", "events"),
    "vocabulary": ("value", "words"),
    "shared": ("value", "shared"),
    "dataset": ("session_id", "events"),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the program says."""
    return told_by("bomb_program", tmp_path_factory.mktemp("bombs"))


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("name", COLUMNS)
def test_what_unpacks_to_gigabytes_is_refused_by_name(name: str, said: Any) -> None:
    text, took = said[name]
    column, file = COLUMNS[name]
    assert f"column '{column}' of " in text
    assert f"{file}.parquet" in text
    assert "expected at most 4,294,967,296 where it is more than 1,000 times as many" in text
    # Tables of 60,000 rows, of which other columns are read, and the error.
    assert took < 200, text
