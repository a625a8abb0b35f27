"""What makes the pages of the benchmarks says what was measured; measuring itself is no test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.growth import exponent, points
from tests.benchmarks.growth_plot import plot_growth
from tests.benchmarks.growth_series import SERIES
from tests.benchmarks.machine import machine
from tests.benchmarks.plot import plot_ratios
from tests.benchmarks.table import HEAD, Line, spread, times


def test_lines_say_ratio_rounds_and_whether_the_promise_was_reached() -> None:
    line = Line("loss", "time", ("2 s", "1 s"), 2.0, (1.9, 2.2, 2.1), promised=1.5)
    assert line.markdown() == "| loss | time | 2 s | 1 s | 2.0 | 1.9 / 2.1 / 2.2 | 1.5 (reached) |"
    assert Line("", "memory", ("2", "1"), 1.2, promised=1.5).markdown() == (
        "|  | memory | 2 | 1 | 1.2 |  | 1.5 (missed) |"
    )
    assert (
        Line("a", "b", ("2", "1"), 2.0, promised=3.0, word="at most 1 s")
        .markdown()
        .endswith("| at most 1 s |")
    )
    assert line.markdown().count("|") == HEAD[0].count("|") == HEAD[1].count("|")


def test_times_tell_best_median_and_worst() -> None:
    assert times([0.2]) == "200.0 ms"
    assert times([0.3, 0.1, 1.5]) == "100.0 ms (300.0 ms, 1.50 s)"
    assert spread([3.0, 1.0, 2.0]) == "1.0 / 2.0 / 3.0"


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_exponent_of_a_power_is_it(power: float) -> None:
    sizes = [10, 30, 100, 2000]
    assert exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_pictures_are_drawn_of_what_was_measured(tmp_path: Path) -> None:
    series = next(one for one in SERIES if one.axis == "rows")
    measured = points(series, small=True)
    assert [size for size, _, _ in measured] == list(series.small)
    assert all(seconds > 0 and held >= 0 for _, seconds, held in measured)
    plot_growth([(series, measured)], tmp_path / "growth.png")
    lines = [
        Line("loader", "time", ("2 s", "1 s"), 2.0, (1.9, 2.2), 1.5),
        Line("", "memory", ("2", "1"), 2.0),
    ]
    plot_ratios(lines, tmp_path / "ratios.svg")
    assert (tmp_path / "growth.png").read_bytes()[:4] == b"\x89PNG"
    drawn = (tmp_path / "ratios.svg").read_text()
    assert drawn.startswith("<?xml")
    assert "loader: memory" in drawn


def test_the_machine_is_described() -> None:
    assert " cores" in machine()
