"""Ratios of all lines of the table beside what was promised."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.table import Line

_REACHED, _MISSED, _NO_PROMISE = "#2a6f97", "#c8553d", "#9aa5ab"


def plot_ratios(lines: Sequence[Line], path: Path) -> None:
    """Draws a bar for each line on a logarithmic axis, its rounds as a thin line, its promise as a mark.

    Args:
        lines: of the table.
        path: of a PNG or SVG file.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure, axes = pyplot.subplots(figsize=(10, 0.36 * len(lines) + 1.6), layout="constrained")
    for place, line in enumerate(lines):
        color = _NO_PROMISE if not line.promised else _REACHED if line.reached else _MISSED
        axes.barh(place, line.ratio, color=color, height=0.62)
        if len(line.rounds) > 1:
            axes.plot([min(line.rounds), max(line.rounds)], [place, place], color="black", linewidth=1.2)
        if line.promised:
            axes.plot([line.promised] * 2, [place - 0.42, place + 0.42], color="black", linewidth=2.4)
        axes.annotate(
            f"{line.ratio:.1f}",
            (max(line.ratio, *line.rounds, line.promised or 0, 1), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    labels, stage = [], ""
    for line in lines:
        stage = line.stage or stage
        labels.append(textwrap.fill(f"{stage}: {line.what}", 64))
    axes.set_yticks(range(len(lines)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times faster or smaller than Transformers4Rec / Merlin (log scale)")
    axes.margins(y=0.01)
    axes.set_xlim(right=2.5 * max(max(line.ratio, *line.rounds, line.promised or 1) for line in lines))
    figure.legend(
        handles=[
            Patch(color=_REACHED, label="promise reached"),
            Patch(color=_MISSED, label="promise missed"),
            Patch(color=_NO_PROMISE, label="nothing promised"),
            Line2D([], [], color="black", linewidth=2.4, marker="|", linestyle="none", label="promised"),
            Line2D([], [], color="black", linewidth=1.2, label="rounds, least to largest"),
        ],
        fontsize=8,
        loc="outside upper right",
        ncols=5,
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
