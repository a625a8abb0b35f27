"""Time and memory over size, a panel for each kind of size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.growth_series import Series


def plot_growth(found: Sequence[tuple[Series, Sequence[tuple[int, float, int]]]], path: Path) -> None:
    """Draws every series, time solid and memory dashed, both axes logarithmic.

    Args:
        found: series with their points (size, seconds, bytes).
        path: of a PNG or SVG file.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    axes_names = list(dict.fromkeys(series.axis for series, _ in found))
    columns = min(len(axes_names), 3)
    rows = -(-len(axes_names) // columns)
    figure, panels = pyplot.subplots(
        rows, columns, figsize=(5.2 * columns, 4.2 * rows), layout="constrained", squeeze=False
    )
    for panel in panels.flat[len(axes_names) :]:
        panel.set_visible(False)
    for axis, panel in zip(axes_names, panels.flat, strict=False):
        held = panel.twinx()
        own = [(series, points) for series, points in found if series.axis == axis]
        for number, (series, points) in enumerate(own):
            color = f"C{number}"
            sizes = [point[0] for point in points]
            panel.plot(sizes, [point[1] for point in points], "o-", color=color, label=series.name)
            if series.memory:
                megabytes = [max(point[2], 1) / 1e6 for point in points]
                held.plot(sizes, megabytes, "s--", color=color, alpha=0.45, markersize=4)
        # A line of exponent 1 to compare with.
        sizes = [point[0] for point in own[0][1]]
        least = min(point[1] for _, points in own for point in points)
        panel.plot(sizes, [least * size / sizes[0] for size in sizes], ":", color="black", linewidth=1)
        panel.set_xscale("log")
        panel.set_xticks(sizes, [_short(size) for size in sizes])
        panel.minorticks_off()
        panel.set_yscale("log")
        if any(series.memory for series, _ in own):
            held.set_yscale("log")
            held.set_ylabel("MB (dashed)")
        else:
            held.set_yticks([])
        panel.set_xlabel(axis)
        panel.set_ylabel("seconds (dotted: in proportion to the size)")
        panel.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), frameon=False, ncols=2)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _short(size: int) -> str:
    for unit, name in ((10**6, "M"), (10**3, "k")):
        if size >= unit:
            return f"{size / unit:g}{name}"
    return str(size)
