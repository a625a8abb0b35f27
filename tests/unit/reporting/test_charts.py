import math
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merlin_models_torch.reporting.charts import Series, bar_chart, line_chart, nice_ticks

NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


def numbers(element, *names):
    return [float(element.get(name)) for name in names]


def of_class(svg, kind):
    return [element for element in svg.iter() if kind in (element.get("class") or "").split()]


@pytest.mark.parametrize(
    ("low", "high", "count", "ticks"),
    [
        (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (2.7, 6.9, 5, [2, 3, 4, 5, 6, 7]),
        (0.1, 6, 6, [0, 1, 2, 3, 4, 5, 6]),
        (5, 5, 5, [5, 6]),
        (0, 0, 5, [0, 0.2]),
        (1e-320, 2e-320, 5, [0, 0.2]),
        (0.1, 0.1 + 1e-12, 5, [0.1, 0.12]),
    ],
)
def test_ticks_by_hand(low, high, count, ticks):
    assert nice_ticks(low, high, count=count) == pytest.approx(ticks)


def test_lines_of_tiny_numbers_are_drawn_over_all_of_the_height():
    assert nice_ticks(1e-12, 3e-12) == pytest.approx([1e-12, 1.5e-12, 2e-12, 2.5e-12, 3e-12], rel=1e-9, abs=0)
    svg = ET.fromstring(
        line_chart("T", "D", [Series("loss", [(0, 3e-12), (1, 1e-12)])], x_label="step", y_label="")
    )
    (line,) = of_class(svg, "line")
    heights = [float(point.split(",")[1]) for point in line.get("points").split()]
    assert heights == [34, 260 - 44]


@given(NUMBERS, NUMBERS)
def test_ticks_hold_the_range_in_equal_round_steps(one, other):
    low, high = min(one, other), max(one, other)
    ticks = nice_ticks(low, high)
    step = ticks[1] - ticks[0]
    slack = 1e-6 * max(step, 1)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert all(math.isclose(b - a, step, rel_tol=1e-6) for a, b in pairwise(ticks))
    assert 2 <= len(ticks) <= 10
    mantissa = step / 10.0 ** math.floor(math.log10(step * 1.0001))
    assert min(abs(mantissa - round_one) for round_one in (1, 2, 5, 10)) < 1e-3


def test_bars_are_as_high_as_their_values_and_labelled():
    svg = ET.fromstring(
        bar_chart(
            "T",
            "D",
            ["5", "10"],
            {"a": [0.5, 1.0], "b": [0.25, 0.0]},
            x_label="k (items)",
            y_label="HR (share)",
        )
    )
    bars = [bar for bar in of_class(svg, "bar") if bar.get("rx") is None]
    heights = [float(bar.get("height")) for bar in bars]
    assert heights == pytest.approx([heights[2] / 2, heights[2] / 4, heights[2], 0], abs=0.2)
    bottoms = {round(y + height) for y, height in (numbers(bar, "y", "height") for bar in bars)}
    assert len(bottoms) == 1
    texts = [text.text for text in svg.iter("text")]
    assert {"0.500", "0.250", "1.000", "0.000", "5", "10", "k (items)", "HR (share)", "a", "b"} <= set(texts)


def test_bars_need_a_height_for_each_group():
    with pytest.raises(ValueError, match="series 'a' has 1 heights for 2 groups: give one for each"):
        bar_chart("T", "D", ["5", "10"], {"a": [0.5]}, x_label="x", y_label="y")


def test_a_line_runs_through_its_points():
    chart = line_chart(
        "T",
        "D",
        [Series("loss", [(0, 4), (1, 2), (2, 0)], dots=True)],
        x_label="epochs",
        y_label="nats",
        reference=("chance", 2),
    )
    svg = ET.fromstring(chart)
    (line,) = of_class(svg, "line")
    (left, top), (middle, centre), (right, bottom) = (
        tuple(map(float, place.split(","))) for place in line.get("points").split()
    )
    assert middle == pytest.approx((left + right) / 2, abs=0.1)
    assert centre == pytest.approx((top + bottom) / 2, abs=0.1)
    assert left < right
    assert top < bottom
    assert len(of_class(svg, "dot")) == 3
    (reference,) = of_class(svg, "reference")
    assert float(reference.get("y1")) == pytest.approx(centre, abs=0.1)


def test_charts_tell_screen_readers_what_they_show():
    svg = ET.fromstring(
        line_chart("A <b>", "falls & ends", [Series("s", [(0, 1)])], x_label="x", y_label="y")
    )
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "A <b>. falls & ends"
    assert [svg.find("title").text, svg.find("desc").text] == ["A <b>", "falls & ends"]


def test_a_chart_without_points_is_refused():
    with pytest.raises(ValueError, match="chart 'Loss' has no points"):
        line_chart("Loss", "", [Series("s", [])], x_label="x", y_label="y")
