"""Tests are programs too: the drop-in tells them of its successor, which only some of them want."""

import pytest

_ASKS_FOR_WARNINGS = "test_warnings.py"


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "compat" and item.path.name != _ASKS_FOR_WARNINGS:
            item.add_marker(pytest.mark.filterwarnings("ignore::deprecation.DeprecatedWarning"))


@pytest.fixture(autouse=True)
def told_anew(monkeypatch):
    """Every test is told again of what is told once in a process."""
    from transformers4rec import _legacy

    monkeypatch.setattr(_legacy, "_told", set())
