"""One page about a training run: curves, measures and sessions with their answers, in a single HTML file.

The page needs no network and no script: styles and charts are inside it. It follows the reader's light or
dark mode, and the width of the screen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from merlin_models_torch.examples.charts import Point, Series, bar_chart, line_chart
from merlin_models_torch.examples.style import STYLE

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
}


@dataclass(frozen=True)
class Losses:
    """How the loss fell.

    Args:
        train: epochs done and the training loss there.
        validation: epochs done and the loss over the validation sessions.
        chance: the loss of giving every item the same probability, if it should be drawn.
    """

    train: Sequence[Point]
    validation: Sequence[Point]
    chance: float | None = None


@dataclass(frozen=True)
class Example:
    """A session and what was answered.

    Args:
        session: its key.
        seen: the items that were given, in order of time.
        followed_by: the item that came next.
        answers: by system, the items it answered, best first.
    """

    session: str
    seen: Sequence[str]
    followed_by: str
    answers: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Report:
    """What the page tells.

    Args:
        title: of the page.
        summary: one or two sentences below it.
        highlights: short figures and what they are, the first ones read.
        losses: for the curve.
        scores: by system (the first is the model), measures by names such as "ndcg_at_10".
        examples: sessions with their answers.
        notes: a word about an item, by item, shown beside it.
        facts: names and values of how it was made.
        remark: what to keep in mind when reading the figures.
    """

    title: str
    summary: str
    highlights: Sequence[tuple[str, str]]
    losses: Losses
    scores: Mapping[str, Mapping[str, float]]
    examples: Sequence[Example] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    facts: Sequence[tuple[str, str]] = ()
    remark: str = ""


def write_report(report: Report, path: str | os.PathLike[str]) -> Path:
    """Writes the page; an older one is replaced when the new one is whole.

    Args:
        report: what it tells.
        path: of the HTML file.

    Returns:
        The path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(page(report), encoding="utf-8")
    part.replace(path)
    return path


def page(report: Report) -> str:
    """The page as HTML that is well-formed XML too."""
    tiles = "".join(_fact(name, value, "tile") for value, name in report.highlights)
    facts = "".join(_fact(name, value, "fact") for name, value in report.facts)
    remark = f'<p class="remark">{escape(report.remark)}</p>' if report.remark else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>{escape(report.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header><h1>{escape(report.title)}</h1><p class="summary">{escape(report.summary)}</p></header>
<dl class="tiles">{tiles}</dl>
<section aria-labelledby="quality"><h2 id="quality">How good the answers are</h2>
<div class="charts">{_metric_charts(report.scores)}</div>
{_metric_table(report.scores)}{remark}</section>
<section aria-labelledby="learning"><h2 id="learning">How it learned</h2>
<div class="charts">{_loss_chart(report.losses)}{_loss_table(report.losses)}</div></section>
{_examples(report)}
<section aria-labelledby="made"><h2 id="made">How it was made</h2><dl class="facts">{facts}</dl></section>
</main>
</body>
</html>
"""


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


def _fact(name: str, value: str, kind: str) -> str:
    return f'<div class="{kind}"><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>'


def _metric_charts(scores: Mapping[str, Mapping[str, float]]) -> str:
    by_system = {system: split_names(values) for system, values in scores.items()}
    first = next(iter(by_system.values()))
    charts = []
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
        )
        caption = f"<b>{escape(title)}</b> {escape(meaning)}"
        charts.append(f"<figure><figcaption>{caption}</figcaption>{chart}</figure>")
    return "".join(charts)


def _metric_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    names = list(next(iter(scores.values())))
    head = "".join(f'<th scope="col">{escape(heading(name))}</th>' for name in names)
    rows = []
    for system, values in scores.items():
        cells = "".join(f"<td>{values[name]:.4f}</td>" for name in names)
        rows.append(f'<tr><th scope="row">{escape(system)}</th>{cells}</tr>')
    return (
        '<details><summary>The same as a table</summary><div class="scroll"><table>'
        f'<thead><tr><th scope="col">system</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def _loss_chart(losses: Losses) -> str:
    lines = [Series("validation", losses.validation, dots=True), Series("training", losses.train)]
    lines = [line for line in lines if line.points]
    told = "; ".join(f"{x.name} from {x.points[0][1]:.2f} to {x.points[-1][1]:.2f}" for x in lines)
    chance = losses.chance
    reference = None if chance is None else (f"all items equally likely: {chance:.2f}", chance)
    chart = line_chart(
        "Loss by epoch",
        told,
        lines,
        x_label="epochs done",
        y_label="cross entropy (nats)",
        reference=reference,
    )
    caption = "<b>Loss</b> per predicted item; lower is better"
    return f"<figure><figcaption>{caption}</figcaption>{chart}</figure>"


def _loss_table(losses: Losses) -> str:
    rows = "".join(
        f'<tr><th scope="row">{epoch:g}</th><td>{_nearest(losses.train, epoch)}</td><td>{loss:.3f}</td></tr>'
        for epoch, loss in losses.validation
    )
    return (
        '<div class="scroll"><table><caption>Loss (nats) after each epoch</caption><thead><tr>'
        '<th scope="col">epochs done</th><th scope="col">training</th><th scope="col">validation</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _nearest(points: Sequence[Point], epoch: float) -> str:
    """The last value until an epoch."""
    before = [loss for x, loss in points if x <= epoch + 1e-9]
    return f"{before[-1]:.3f}" if before else ""


def _examples(report: Report) -> str:
    if not report.examples:
        return ""
    cards = "".join(_card(example, report.notes) for example in report.examples)
    return (
        '<section aria-labelledby="sessions"><h2 id="sessions">Sessions and their answers</h2>'
        "<p>Each session was given without its last item. An answer that names that item is a hit.</p>"
        f'<div class="cards">{cards}</div></section>'
    )


def _card(example: Example, notes: Mapping[str, str]) -> str:
    seen = "".join(f"<li>{_item(item, notes)}</li>" for item in example.seen)
    lists = []
    for system, answers in example.answers.items():
        rows = []
        for item in answers:
            if item == example.followed_by:
                rows.append(f'<li class="hit">{_item(item, notes)}<strong class="mark">✓ hit</strong></li>')
            else:
                rows.append(f"<li>{_item(item, notes)}</li>")
        lists.append(f"<div><h4>{escape(system)}</h4><ol>{''.join(rows)}</ol></div>")
    return (
        f'<article class="card"><h3>session {escape(example.session)}</h3>'
        f'<h4>seen, in order of time</h4><ul class="path">{seen}</ul>'
        f'<p class="next">came next: <b>{_item(example.followed_by, notes)}</b></p>'
        f'<div class="answers">{"".join(lists)}</div></article>'
    )


def _item(item: str, notes: Mapping[str, str]) -> str:
    note = notes.get(item)
    return escape(item) if note is None else f"{escape(item)} <small>{escape(note)}</small>"
