"""Small SVG charts, coloured by the style sheet of the page that they stand in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from merlin_models_torch.reporting.text import text

Point = tuple[float, float]

WIDTH, HEIGHT = 360, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 8, 34, 44
# Where a picture without a legend begins.
BARE = 14
# Differences beside a number, and numbers, that are none to look at.
_ROUNDING, _LEAST = 1e-9, 1e-100
# Characters of a name in a legend.
_NAME = 18


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Args:
        name: for the legend.
        points: x and y, by rising x.
        dots: marks each point.
    """

    name: str
    points: Sequence[Point]
    dots: bool = False


@dataclass(frozen=True)
class Frame:
    """The rectangle inside the axes, and how numbers become places in it.

    Args:
        x_range: the numbers at its left and right edge.
        y_range: the numbers at its bottom and top.
    """

    x_range: Point
    y_range: Point

    def x(self, value: float) -> float:
        """The place of a number along the bottom."""
        low, high = self.x_range
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """The place of a number up the side."""
        low, high = self.y_range
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def nice_ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Round numbers in equal steps, the first at most ``low``, the last at least ``high``.

    Steps are 1, 2 or 5 times a power of ten.

    Args:
        low: smallest number to show.
        high: largest number to show.
        count: about how many steps.

    Example:
        >>> nice_ticks(0.3, 6.9, count=4)
        [0.0, 2.0, 4.0, 6.0, 8.0]
    """
    size = max(abs(low), abs(high), _LEAST)
    # What differs by rounding alone, or is next to nothing, is drawn as one number.
    span = high - low if high - low > size * _ROUNDING else size if size > _LEAST else 1.0
    power = 10.0 ** math.floor(math.log10(span / count))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda size: abs(math.log(span / count / size)))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(1 - math.floor(math.log10(step)), 0)
    return [round(number * step, digits) for number in range(first, max(last, first + 1) + 1)]


def line_chart(
    title: str,
    description: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    reference: tuple[str, float] | None = None,
) -> str:
    """Lines over a common scale, with a legend if there are several.

    Args:
        title: read out by screen readers.
        description: likewise: what there is to see.
        series: the lines, styled ``series-0``, ``series-1`` and so on.
        x_label: what runs along the bottom, with its unit.
        y_label: what runs up the side, with its unit.
        reference: name and height of a dashed line.

    Returns:
        An ``svg`` element.

    Raises:
        ValueError: if there is no point.
    """
    points = [point for line in series for point in line.points]
    if not points:
        raise ValueError(f"chart {title!r} has no points: give at least one")
    heights = [y for _, y in points] + ([] if reference is None else [reference[1]])
    x_ticks = nice_ticks(min(x for x, _ in points), max(x for x, _ in points), count=6)
    y_ticks = nice_ticks(min(heights), max(heights))
    frame = Frame((x_ticks[0], x_ticks[-1]), (y_ticks[0], y_ticks[-1]))
    parts = [axes(frame, y_ticks, x_label, y_label), *(x_tick(frame.x(x), f"{x:g}") for x in x_ticks)]
    if reference is not None:
        name, height = reference
        y = frame.y(height)
        parts.append(f'<line class="reference" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{y + 16:.1f}" text-anchor="end">{text(name)}</text>')
    for number, line in reversed(list(enumerate(series))):  # the first line lies on top
        places = [(frame.x(x), frame.y(y)) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="line series-{number}" points="{path}"/>')
        if line.dots:
            parts += [
                f'<circle class="dot series-{number}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in places
            ]
    if len(series) > 1:
        parts.append(_legend([line.name for line in series]))
    return svg(title, description, parts, top=BARE if len(series) == 1 else 0)


def bar_chart(
    title: str,
    description: str,
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    x_label: str,
    y_label: str,
    top: float = 1.0,
) -> str:
    """Bars side by side in groups, each with its value, from 0 to a common top; a legend for several.

    Args:
        title: read out by screen readers.
        description: likewise: what there is to see.
        groups: names below the groups.
        series: by name, the height of the bar in each group; styled ``series-0`` and so on.
        x_label: what runs along the bottom, with its unit.
        y_label: what runs up the side, with its unit.
        top: the largest height that there can be.

    Returns:
        An ``svg`` element.

    Raises:
        ValueError: if a series has not one height for each group.
    """
    for name, heights in series.items():
        if len(heights) != len(groups):
            raise ValueError(
                f"series {name!r} has {len(heights)} heights for {len(groups)} groups: give one for each"
            )
    ticks = nice_ticks(0, top)
    frame = Frame((0, len(groups)), (0, ticks[-1]))
    parts = [axes(frame, ticks, x_label, y_label)]
    small = len(groups) * len(series) > 6
    kind = "value small" if small else "value"
    share = 0.72 / len(series)
    width = (frame.x(1) - frame.x(0)) * share
    for group, name in enumerate(groups):
        parts.append(x_tick(frame.x(group + 0.5), name, small=small))
        for number, heights in enumerate(series.values()):
            x, height = frame.x(group + 0.14 + share * number) + 1, heights[group]
            y = frame.y(height)
            parts.append(
                f'<rect class="bar series-{number}" x="{x:.1f}" y="{y:.1f}" width="{width - 2:.1f}" '
                f'height="{frame.y(0) - y:.1f}"/>'
            )
            parts.append(
                f'<text class="{kind}" x="{x + width / 2 - 1:.1f}" y="{y - 5:.1f}" text-anchor="middle">'
                f"{height:.{2 if small else 3}f}</text>"
            )
    if len(series) > 1:
        parts.append(_legend(list(series)))
    return svg(title, description, parts, top=BARE if len(series) == 1 else 0)


def svg(
    title: str,
    description: str,
    parts: Sequence[str],
    *,
    width: float = WIDTH,
    height: float = HEIGHT,
    top: float = 0,
) -> str:
    """The parts of a chart from ``top`` to ``height`` as one picture, told to screen readers too."""
    label = f"{text(title)}. {text(description)}"
    return (
        f'<svg viewBox="0 {top:g} {width:g} {height - top:g}" role="img" aria-label="{label}">'
        f"<title>{text(title)}</title><desc>{text(description)}</desc>{''.join(parts)}</svg>"
    )


def axes(frame: Frame, ticks: Sequence[float], x_label: str, y_label: str) -> str:
    """Lines at the ticks up the side, their numbers, and what runs along both axes."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    middle = (TOP + bottom) / 2
    parts = []
    for tick in ticks:
        y = frame.y(tick)
        kind = "axis" if tick == ticks[0] else "grid"
        parts.append(f'<line class="{kind}" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        small = ' class="small"' if len(f"{tick:g}") > 4 else ""
        parts.append(f'<text{small} x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    parts.append(
        f'<text x="{(LEFT + right) / 2:.1f}" y="{HEIGHT - 7}" text-anchor="middle">{text(x_label)}</text>'
    )
    parts.append(
        f'<text x="11" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 11 {middle:.1f})">'
        f"{text(y_label)}</text>"
    )
    return "".join(parts)


def x_tick(x: float, name: str, *, small: bool = False) -> str:
    """A name below the bottom axis."""
    kind = ' class="small"' if small else ""
    return f'<text{kind} x="{x:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{text(name)}</text>'


def _legend(names: Sequence[str]) -> str:
    parts, x = [], float(LEFT)
    for number, name in enumerate(names):
        parts.append(f'<rect class="bar series-{number}" x="{x:.0f}" y="8" width="12" height="12" rx="2"/>')
        parts.append(f'<text class="name" x="{x + 18:.0f}" y="18">{text(name, longest=_NAME)}</text>')
        x += 18 + 7.2 * min(len(name), _NAME) + 20
    return "".join(parts)
