"""Points on a plane, and matrices of shares, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from merlin_models_torch.reporting.charts import (
    BARE,
    RIGHT,
    WIDTH,
    Frame,
    axes,
    nice_ticks,
    svg,
    x_tick,
)
from merlin_models_torch.reporting.text import text

# Widest names of rows, and cells; the least width, so that a small matrix is not drawn large.
_NAMES, _CELL, _NARROWEST = 118, 32, 300


def scatter_chart(
    title: str,
    description: str,
    series: Mapping[str, Sequence[tuple[float, float, str]]],
    *,
    x_label: str,
    y_label: str,
    kind: str = "series",
) -> str:
    """Points, each with a word that shows when it is pointed at.

    Args:
        title: read out by screen readers.
        description: likewise: what there is to see.
        series: x, y and the word of each point, by name; the first lie on top.
        x_label: what runs along the bottom.
        y_label: what runs up the side.
        kind: class of the style sheet that colours them, ``series-0`` and so on.

    Returns:
        An ``svg`` element; its legend is :func:`reporting.page.legend`.

    Raises:
        ValueError: if there is no point.
    """
    points = [point for some in series.values() for point in some]
    if not points:
        raise ValueError(f"chart {title!r} has no points: give at least one")
    x_ticks = nice_ticks(min(x for x, _, _ in points), max(x for x, _, _ in points), count=6)
    y_ticks = nice_ticks(min(y for _, y, _ in points), max(y for _, y, _ in points))
    frame = Frame((x_ticks[0], x_ticks[-1]), (y_ticks[0], y_ticks[-1]))
    parts = [axes(frame, y_ticks, x_label, y_label), *(x_tick(frame.x(x), f"{x:g}") for x in x_ticks)]
    radius = 2.5 if len(points) <= 400 else 1.7
    for number, some in reversed(list(enumerate(series.values()))):
        dots = "".join(
            f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="{radius}">'
            f"<title>{text(word)}</title></circle>"
            for x, y, word in some
        )
        parts.append(f'<g class="point {kind}-{number}">{dots}</g>')
    return svg(title, description, parts, top=BARE)


def heat_map(
    title: str,
    description: str,
    rows: Sequence[str],
    columns: Sequence[str],
    shares: Sequence[Sequence[float]],
) -> str:
    """A matrix of numbers from 0 on, darker where they are larger; the largest is darkest.

    Args:
        title: read out by screen readers.
        description: likewise: what there is to see.
        rows: names down the side.
        columns: short names along the top.
        shares: a number for each row and column.

    Returns:
        An ``svg`` element.

    Raises:
        ValueError: if the matrix has another shape.
    """
    if [len(row) for row in shares] != [len(columns)] * len(rows):
        raise ValueError(
            f"the matrix has {len(shares)} rows of {sorted({len(row) for row in shares})} numbers for "
            f"{len(rows)} names of rows and {len(columns)} of columns: give one for each pair"
        )
    left = min(max((len(name) for name in rows), default=0) * 6.6 + 10, _NAMES)
    size = min((WIDTH - left - RIGHT) / len(columns), _CELL)
    largest = max((share for numbers in shares for share in numbers), default=0.0) or 1.0
    parts = []
    for place, name in enumerate(columns):
        x = left + (place + 0.5) * size
        parts.append(f'<text class="small" x="{x:.1f}" y="12" text-anchor="middle">{text(name)}</text>')
    for line, (name, numbers) in enumerate(zip(rows, shares, strict=True)):
        y = 18 + line * size
        middle = y + size / 2 + 4
        parts.append(
            f'<text class="small" x="{left - 6:.1f}" y="{middle:.1f}" text-anchor="end">'
            f"{text(name, longest=17)}</text>"
        )
        for place, share in enumerate(numbers):
            x, shown = left + place * size, max(share, 0.0) / largest
            parts.append(
                f'<rect class="cell" x="{x:.1f}" y="{y:.1f}" width="{size - 1:.1f}" height="{size - 1:.1f}" '
                f'fill-opacity="{shown:.3f}"><title>{text(name)}, {text(columns[place])}: {share:.3f}'
                "</title></rect>"
            )
    width, height = size * len(columns), size * len(rows)
    parts.append(
        f'<rect class="frame" x="{left - 1:.1f}" y="17" width="{width + 1:.1f}" height="{height + 1:.1f}"/>'
    )
    return svg(title, description, parts, width=max(left + width + 4, _NARROWEST), height=height + 24)
