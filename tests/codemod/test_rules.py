"""Each rule by its cases: a program before and after, and after it again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from merlin_migrate.codemod import RULES, rewrite_source

CASES = Path(__file__).parent / "cases"


def _cases() -> list[object]:
    found: list[object] = []
    for file in sorted(CASES.glob("*.txt")):
        for text in re.split(r"^## ", file.read_text(), flags=re.MULTILINE)[1:]:
            title, rest = text.split("\n", 1)
            before, after = rest.removeprefix("-- before\n").split("-- after\n")
            found.append(pytest.param(before, after, id=f"{file.stem}: {title}"))
    return found


@pytest.mark.parametrize(("before", "after"), _cases())
def test_case(before: str, after: str) -> None:
    result = rewrite_source(before.encode())
    assert result.after.decode() == after
    again = rewrite_source(result.after)
    assert again.after.decode() == after
    assert not again.changed
    assert again.marks == result.marks


def test_every_rule_has_a_number_and_a_file_of_cases() -> None:
    numbers = [rule.number for rule in RULES]
    assert len(set(numbers)) == len(numbers)
    # What is left and the imports come after everything else.
    assert numbers[-2:] == ["MM108", "MM109"]
    for rule in RULES:
        assert rule.__module__.rpartition(".")[2].startswith(rule.number.lower() + "_")
        assert list(CASES.glob(f"{rule.number.lower()}_*.txt")), rule.number
        assert rule.__doc__
        assert rule.title
