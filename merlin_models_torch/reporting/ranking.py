"""Ranking measures as charts and tables, by their names such as "ndcg_at_10"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from merlin_models_torch.reporting.charts import bar_chart
from merlin_models_torch.reporting.page import details, figure, table

_METRICS = {
    "hit_rate": ("Hit rate", "HR", "share of sessions", "the next item is among the first k answers"),
    "recall": ("Recall", "Recall", "mean", "share of what comes next that is among the first k answers"),
    "ndcg": (
        "NDCG",
        "NDCG",
        "mean, 0 to 1",
        "1 / log2(1 + rank) of it, 0 beyond k",
    ),
    "mrr": ("MRR", "MRR", "mean, 0 to 1", "1 / rank of it, 0 beyond k"),
    "map": ("MAP", "MAP", "mean, 0 to 1", "average precision within the first k answers"),
    "precision": ("Precision", "Precision", "mean", "share of the first k answers that came next"),
    "coverage": (
        "Coverage",
        "Coverage",
        "share of items",
        "items that are among the first k answers to someone",
    ),
}


def split_names(scores: Mapping[str, float]) -> dict[str, dict[int, float]]:
    """Measures such as "ndcg_at_10" by metric and cut-off, both in the order of the names.

    Raises:
        ValueError: for a name of another form.
    """
    found: dict[str, dict[int, float]] = {}
    for name, value in scores.items():
        metric, _, k = name.rpartition("_at_")
        if not metric or not k.isdigit():
            raise ValueError(f"score {name!r} is not named like 'ndcg_at_10': rename it")
        found.setdefault(metric, {})[int(k)] = value
    return found


def heading(name: str) -> str:
    """What a table calls a measure: "HR@10" for "hit_rate_at_10"."""
    metric, _, k = name.rpartition("_at_")
    return f"{_METRICS[metric][1] if metric in _METRICS else metric}@{k}"


def curve_title(name: str) -> str:
    """The same for a measure while training: "NDCG@10" for "val_ndcg_at_10"; any other name as it is."""
    measure = name.removeprefix("val_")
    metric, _, k = measure.rpartition("_at_")
    return heading(measure) if metric in _METRICS and k.isdigit() else name


def metric_title(metric: str) -> str:
    """What a chart calls a metric: "Hit rate" for "hit_rate"."""
    return _METRICS[metric][0] if metric in _METRICS else metric


def metric_charts(scores: Mapping[str, Mapping[str, float]], *, fitted: bool = False) -> list[str]:
    """A figure for each metric: its value at each cut-off.

    Args:
        scores: by system, the same measures.
        fitted: the axis ends a little above the highest bar, and not at 1.
    """
    by_system = {system: split_names(values) for system, values in scores.items()}
    first = next(iter(by_system.values()))
    figures = []
    for metric, at in first.items():
        title, _, unit, meaning = _METRICS.get(metric, (metric, metric, "mean", ""))
        heights = {system: [values[metric][k] for k in at] for system, values in by_system.items()}
        told = "; ".join(
            f"{system}: " + ", ".join(f"{value:.3f} at {k}" for k, value in zip(at, row, strict=True))
            for system, row in heights.items()
        )
        chart = bar_chart(
            f"{title} by number of answers",
            told,
            [str(k) for k in at],
            heights,
            x_label="k, answers looked at",
            y_label=f"{title} at k ({unit})",
            top=axis_top([value for row in heights.values() for value in row]) if fitted else 1.0,
        )
        figures.append(figure(title, meaning, chart))
    return figures


def axis_top(values: Sequence[float]) -> float:
    """Where an axis of measures between 0 and 1 ends: with room above the highest bar, at most at 1."""
    return min(1.0, 1.1 * max(values, default=0.0)) or 1.0


def metric_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """The same values as a table, shown on request."""
    names = list(next(iter(scores.values())))
    rows = [[system, *(f"{values[name]:.4f}" for name in names)] for system, values in scores.items()]
    return details("The same as a table", table(["system", *map(heading, names)], rows))
