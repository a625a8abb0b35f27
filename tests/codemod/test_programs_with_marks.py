"""Programs that are not rewritten whole: exactly which names are left to a hand."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from merlin_migrate.codemod import rewrite_source

PROGRAMS = Path(__file__).parents[2] / "tests" / "compat" / "programs"
LEFT = {
    # Subclasses of the trainer and its arguments.
    "own_trainer": {"MM108 T4RecTrainingArguments", "MM108 Trainer"},
}


@pytest.mark.parametrize("name", LEFT)
def test_marks_are_these_and_a_second_run_changes_nothing(name: str) -> None:
    result = rewrite_source((PROGRAMS / f"{name}.py").read_bytes())
    ast.parse(result.after)
    found = set()
    for mark in result.marks:
        legacy = re.match(r"transformers4rec[\w.]*?\.((?:[A-Z]|masking_registry)[\w.]*): ", mark.reason)
        first = "a model" if mark.reason.startswith("a model ") else mark.reason
        words = {"MM102": 3, "MM106": 2}.get(mark.rule, 2)
        if mark.reason.startswith("the argument"):
            words = 3
        elif mark.rule == "MM102":
            words = 2
        found.add(f"{mark.rule} {legacy[1] if legacy else ' '.join(first.split()[:words])}")
    assert found == LEFT[name]
    assert not rewrite_source(result.after).changed
