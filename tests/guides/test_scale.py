"""The page on scale says what the library does by default, and is found."""

from __future__ import annotations

import inspect
from pathlib import Path

import merlin_models_torch as mm
from merlin_models_torch.retrieval import index

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "migration_guides" / "scale.md").read_text(encoding="utf-8")


def test_defaults_are_those_of_the_library() -> None:
    defaults = {name: p.default for name, p in inspect.signature(mm.ParquetLoader).parameters.items()}
    assert f"`memory_limit` ({defaults['memory_limit'] // 2**30} GiB if not given)" in PAGE
    assert f"`buffer_groups` ({defaults['buffer_groups']})" in PAGE
    assert index._BYTE_QUERIES == 4
    assert "asked by ones to fours" in PAGE
    assert f"ask {index._QUERIES} queries at a time" in PAGE


def test_the_page_is_linked() -> None:
    assert "(migration_guides/scale.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(scale.md)" in (ROOT / "migration_guides" / "README.md").read_text(encoding="utf-8")
