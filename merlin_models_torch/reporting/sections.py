"""The sections of a report that show figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from merlin_models_torch.reporting.charts import Series, bar_chart, line_chart
from merlin_models_torch.reporting.clicks import ClickFigures
from merlin_models_torch.reporting.groups import Group, Popularity
from merlin_models_torch.reporting.measure import METRICS, ItemFigures
from merlin_models_torch.reporting.numbers import NumberFigures
from merlin_models_torch.reporting.page import Section, charts, details, figure, paragraph, table
from merlin_models_torch.reporting.plots import scatter_chart
from merlin_models_torch.reporting.ranking import axis_top, heading, metric_charts, metric_table, metric_title
from merlin_models_torch.reporting.walk import Seen

_IN_GROUPS = 10


def highlights(seen: Seen) -> list[tuple[str, str]]:
    """The figures that are read first: value and what it is."""
    tiles: list[tuple[str, str]] = []
    for name, figures in seen.figures.items():
        of = f" of {name}" if len(seen.figures) > 1 else ""
        if isinstance(figures, ItemFigures):
            k = _cut_off(figures)
            tiles += [
                (
                    f"{figures.values[f'recall_at_{k}']:.1%}",
                    f"of what came next is among the first {k} answers",
                ),
                (f"{figures.values[f'ndcg_at_{k}']:.3f}", f"NDCG@{k}"),
                (
                    f"{figures.values[f'coverage_at_{k}']:.1%}",
                    f"of the items are answered to someone (k = {k})",
                ),
            ]
        elif isinstance(figures, ClickFigures):
            shown = [(key, figures.values[key]) for key in ("auc", "log_loss") if key in figures.values]
            tiles += [(f"{value:.4f}", f"{_title(key)}{of}") for key, value in shown]
            tiles.append((f"{figures.positives / figures.count:.1%}", f"of labels are 1{of}"))
        else:
            best = [key for key in ("rmse", *figures.values) if key in figures.values][:1]
            tiles += [(f"{figures.values[key]:.4f}", f"{_title(key)}{of}") for key in best]
    return [*tiles, (f"{seen.rows:,}", "rows")]


def figure_sections(seen: Seen, popular: Mapping[str, Popularity], *, several: bool) -> list[Section]:
    """What was measured, output by output.

    Args:
        seen: the figures.
        popular: popularity of the items of outputs, by their names.
        several: whether the model has several outputs, so that each is named.
    """
    sections = []
    for number, (name, figures) in enumerate(seen.figures.items()):
        of, anchor = (f": {name}", f"-{number}") if several else ("", "")
        if isinstance(figures, ItemFigures):
            sections += _of_items(figures, popular.get(name), of, anchor)
        elif isinstance(figures, ClickFigures):
            sections.append(_of_clicks(figures, of, anchor))
        else:
            sections.append(_of_numbers(figures, of, anchor))
    return sections


def _of_items(figures: ItemFigures, popular: Popularity | None, of: str, anchor: str) -> list[Section]:
    scores = {"this model": figures.values}
    body = charts(metric_charts(scores, fitted=True)) + metric_table(scores)
    sections = [Section(f"quality{anchor}", f"How good the answers are{of}", body)]
    if figures.by_length:
        body = _grouped(figures.by_length, _cut_off(figures), "items that the session shows")
        sections.append(Section(f"length{anchor}", f"By length of the session{of}", body))
    if figures.by_popularity and popular is not None:
        label = "fifth of events, most popular items first"
        told = (
            f"Items in order of how often they are in {popular.told}, divided where each part has a fifth of "
            "all events: the first fifth is few items that are met often, the last many that are met rarely."
        )
        body = paragraph(told) + _grouped(figures.by_popularity, _cut_off(figures), label)
        sections.append(Section(f"popularity{anchor}", f"By popularity of what came next{of}", body))
    return sections


def _grouped(groups: Sequence[Group], k: int, x_label: str) -> str:
    """Charts of recall and NDCG of groups, and a table of all measures at one cut-off."""
    drawn = []
    for metric in METRICS[:2]:
        heights = [group.values[f"{metric}_at_{k}"] for group in groups]
        title = f"{metric_title(metric)}@{k}"
        told = ", ".join(
            f"{height:.3f} of {group.told}" for group, height in zip(groups, heights, strict=True)
        )
        chart = bar_chart(
            title,
            told,
            [group.name for group in groups],
            {title: heights},
            x_label=x_label,
            y_label=f"{title} (mean)",
            top=axis_top(heights),
        )
        drawn.append(figure(title, "mean over the targets of each group", chart))
    names = [f"{metric}_at_{k}" for metric in METRICS]
    rows = [
        [group.told, f"{group.count:,}", *(f"{group.values[name]:.4f}" for name in names)] for group in groups
    ]
    return charts(drawn) + table(["group", "targets", *map(heading, names)], rows)


def _of_clicks(figures: ClickFigures, of: str, anchor: str) -> Section:
    drawn = []
    if len(figures.roc) > 1 and 0 < figures.positives < figures.count:
        area = figures.values["auc"]
        chart = line_chart(
            "ROC curve",
            f"area {area:.4f}",
            [Series("this model", figures.roc), Series("chance", [(0.0, 0.0), (1.0, 1.0)])],
            x_label="share of labels 0 above the threshold",
            y_label="share of labels 1 above it",
        )
        drawn.append(figure("ROC", f"area {area:.4f}; the higher above the diagonal, the better", chart))
    points = [(mean, share) for _, mean, share in figures.calibration]
    told = "; ".join(f"{mean:.3f} said, {share:.3f} found" for mean, share in points)
    chart = line_chart(
        "Calibration",
        told,
        [
            Series("this model", points, dots=True),
            Series("perfect", [(0.0, 0.0), (1.0, 1.0)]),
        ],
        x_label="mean probability",
        y_label="share of labels that are 1",
    )
    drawn.append(
        figure("Calibration", "what is said to be so likely happens so often on the diagonal", chart)
    )
    counts = [[f"{mean:.4f}", f"{share:.4f}", f"{count:,}"] for count, mean, share in figures.calibration]
    values = [[_title(name), f"{value:.4f}"] for name, value in figures.values.items()]
    below = table(["measure", "value"], values) + details(
        "Calibration as a table", table(["mean probability", "labels that are 1", "labels"], counts)
    )
    return Section(f"clicks{anchor}", f"How good the probabilities are{of}", charts(drawn) + below)


def _of_numbers(figures: NumberFigures, of: str, anchor: str) -> Section:
    drawn = []
    if figures.pairs:
        points = [(label, said, f"{said:.3f} for {label:.3f}") for label, said in figures.pairs]
        chart = scatter_chart(
            "Numbers and labels",
            f"{len(points)} rows",
            {"rows": points},
            x_label="label",
            y_label="number answered",
        )
        drawn.append(figure("Numbers beside their labels", f"{len(points)} rows, drawn evenly", chart))
    values = [[_title(name), f"{value:.4f}"] for name, value in figures.values.items()]
    body = charts(drawn) + table(["measure", "value"], [["labels", f"{figures.count:,}"], *values])
    return Section(f"numbers{anchor}", f"How good the answers are{of}", body)


def _cut_off(figures: ItemFigures) -> int:
    """The number of answers that groups are looked at with."""
    ks = [int(name.rpartition("_at_")[2]) for name in figures.values]
    return max([k for k in ks if k <= _IN_GROUPS] or [min(ks)])


def _title(name: str) -> str:
    return {"auc": "AUC", "rmse": "RMSE", "mse": "MSE", "mae": "MAE", "f1": "F1"}.get(
        name, name.replace("_", " ")
    )
