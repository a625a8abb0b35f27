"""Programs that are not rewritten whole: exactly which names are left to a hand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from merlin_migrate.codemod import rewrite_source

PROGRAMS = Path(__file__).parents[2] / "tests" / "compat" / "programs"
LEFT = {
    # A subclass of the trainer and a callback; ``finished/own_trainer.py`` has them done.
    "own_trainer": {
        "MM106 left out,",
        "MM106 the trainer's",
        "MM114 the base",
        "MM114 on_log of",
        "MM114 a trainer",
        "MM114 compute_loss is",
        "MM114 log is",
        "MM114 create_optimizer is",
    },
}


@pytest.mark.parametrize("name", LEFT)
def test_marks_are_these_and_a_second_run_changes_nothing(name: str) -> None:
    result = rewrite_source((PROGRAMS / f"{name}.py").read_bytes())
    ast.parse(result.after)
    found = {f"{mark.rule} {' '.join(mark.reason.split()[:2])}" for mark in result.marks}
    assert found == LEFT[name]
    assert not rewrite_source(result.after).changed
