"""The statistical arm: the whole unmodified program ends at the same metrics on both sides, over seeds.

Two one-sided t tests at the level of 5 %: the means are taken for equivalent if the 90 % interval of their
difference lies within the margin. The margin of a metric is a fifth of what the original's training gained
over an untrained model, which ranks evenly. That this can fail is shown by the original trained for one
epoch, not four.
"""

from __future__ import annotations

import json
import math
import os
import statistics
from pathlib import Path

import pytest

from tests.equivalence.programs import SEEDS

FOLDER = os.environ.get("EQUIVALENCE_DIR")
ITEMS = 40
SHARE = 0.2
T_95 = {4: 2.132, 5: 2.015, 6: 1.943, 7: 1.895, 8: 1.860, 9: 1.833}
UNTRAINED = {
    "eval_/next-item/ndcg_at_10": sum(1 / math.log2(rank + 1) for rank in range(1, 11)) / (ITEMS + 1),
    "eval_/loss": math.log(ITEMS + 1),
}

pytestmark = pytest.mark.skipif(
    not FOLDER, reason="EQUIVALENCE_DIR is not set: run `make equivalence`, which records anew"
)


def read(name: str, metric: str) -> list[float]:
    """One value for each seed."""
    runs = json.loads((Path(str(FOLDER)) / "statistical" / f"{name}.json").read_text())
    assert len(runs) == len(SEEDS) >= 5
    return [run[metric] for run in runs]


def margin(original: list[float], metric: str) -> float:
    """A fifth of the gain of training."""
    gain = abs(statistics.fmean(original) - UNTRAINED[metric])
    return SHARE * gain


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


@pytest.mark.parametrize("masking", ["mlm", "causal"])
@pytest.mark.parametrize("metric", UNTRAINED)
def test_program_ends_at_equivalent_metrics(masking: str, metric: str) -> None:
    original, dropin = read(f"original-{masking}", metric), read(f"dropin-{masking}", metric)
    within = margin(original, metric)
    assert equivalent(dropin, original, within), (
        f"{masking} {metric}: interval {interval(dropin, original)} of the difference leaves {within}; "
        f"original {original}, drop-in {dropin}"
    )


@pytest.mark.parametrize("masking", ["mlm", "causal"])
@pytest.mark.parametrize("metric", UNTRAINED)
def test_less_training_is_told_apart(masking: str, metric: str) -> None:
    original, short = read(f"original-{masking}", metric), read(f"short-{masking}", metric)
    assert not equivalent(short, original, margin(original, metric))


def test_interval_of_a_case_by_hand() -> None:
    left, right = [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 2.0, 2.0, 2.0, 2.0]
    reach = 2.132 * math.sqrt(2.5 / 5)
    assert interval(left, right) == pytest.approx((1 - reach, 1 + reach))
    assert equivalent(left, right, 1.01 + reach)
    assert not equivalent(left, right, 0.99 + reach)
