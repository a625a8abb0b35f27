"""The statistical arm: whole unmodified programs end at the same metrics on both sides, over seeds.

Two one-sided t tests at the level of 5 %: the means are taken for equivalent if the 90 % interval of their
difference lies within the margin. The margin of a metric is a fifth of what the original's training gained
over what chance gives. That this can fail is shown by the original trained for one epoch only.
"""

from __future__ import annotations

import json
import math
import os
import statistics
from pathlib import Path

import pytest

from tests.equivalence.programs import PROGRAMS, SEEDS, SHORTENED

FOLDER = os.environ.get("EQUIVALENCE_DIR")
SHARE = 0.2
T_95 = {4: 2.132, 5: 2.015, 6: 1.943, 7: 1.895, 8: 1.860, 9: 1.833}
COMPARED = [(name, metric) for name, program in PROGRAMS.items() for metric in program.chance]

pytestmark = pytest.mark.skipif(
    not FOLDER, reason="EQUIVALENCE_DIR is not set: run `make equivalence`, which records anew"
)


def read(name: str, metric: str) -> list[float]:
    """One value for each seed."""
    runs = json.loads((Path(str(FOLDER)) / "statistical" / f"{name}.json").read_text())
    assert len(runs) == len(SEEDS) >= 5
    return [run[metric] for run in runs]


def margin(original: list[float], chance: float) -> float:
    """A fifth of the gain of training."""
    return SHARE * abs(statistics.fmean(original) - chance)


def interval(left: list[float], right: list[float]) -> tuple[float, float]:
    """The 90 % interval of the difference of means, with the fewest degrees of freedom of Welch's test."""
    count = min(len(left), len(right))
    error = math.sqrt(statistics.variance(left) / len(left) + statistics.variance(right) / len(right))
    difference = statistics.fmean(left) - statistics.fmean(right)
    reach = T_95[count - 1] * error
    return difference - reach, difference + reach


def equivalent(left: list[float], right: list[float], within: float) -> bool:
    """Whether both one-sided tests reject a difference as large as the margin."""
    low, high = interval(left, right)
    return -within < low and high < within


@pytest.mark.parametrize(("name", "metric"), COMPARED)
def test_program_ends_at_equivalent_metrics(name: str, metric: str) -> None:
    original, dropin = read(f"original-{name}", metric), read(f"dropin-{name}", metric)
    within = margin(original, PROGRAMS[name].chance[metric])
    assert equivalent(dropin, original, within), (
        f"{name} {metric}: interval {interval(dropin, original)} of the difference leaves {within}; "
        f"original {original}, drop-in {dropin}"
    )


@pytest.mark.parametrize(("name", "metric"), [case for case in COMPARED if case[0] in SHORTENED])
def test_less_training_is_told_apart(name: str, metric: str) -> None:
    original, short = read(f"original-{name}", metric), read(f"short-{name}", metric)
    assert not equivalent(short, original, margin(original, PROGRAMS[name].chance[metric]))


def test_interval_of_a_case_by_hand() -> None:
    left, right = [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 2.0, 2.0, 2.0, 2.0]
    reach = 2.132 * math.sqrt(2.5 / 5)
    assert interval(left, right) == pytest.approx((1 - reach, 1 + reach))
    assert equivalent(left, right, 1.01 + reach)
    assert not equivalent(left, right, 0.99 + reach)
