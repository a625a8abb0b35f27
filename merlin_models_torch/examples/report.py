"""One page about a training run: curves, measures and sessions with their answers, in a single HTML file.

The page is made of what :mod:`merlin_models_torch.reporting` has for every report.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from merlin_models_torch.reporting.cards import Example, card
from merlin_models_torch.reporting.charts import Point, Series, line_chart
from merlin_models_torch.reporting.page import (
    Section,
    charts,
    document,
    facts,
    figure,
    paragraph,
    table,
    write_page,
)
from merlin_models_torch.reporting.ranking import metric_charts, metric_table


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
    return write_page(page(report), path)


def page(report: Report) -> str:
    """The page as HTML that is well-formed XML too."""
    remark = paragraph(report.remark, kind="remark") if report.remark else ""
    quality = charts(metric_charts(report.scores)) + metric_table(report.scores) + remark
    learning = charts([_loss_chart(report.losses), _loss_table(report.losses)])
    sections = [
        Section("quality", "How good the answers are", quality),
        Section("learning", "How it learned", learning),
        Section("sessions", "Sessions and their answers", _examples(report)),
        Section("made", "How it was made", facts(dict(report.facts))),
    ]
    return document(
        title=report.title,
        summary=report.summary,
        tiles=report.highlights,
        sections=[section for section in sections if section.name != "sessions" or report.examples],
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
    return figure("Loss", "per predicted item; lower is better", chart)


def _loss_table(losses: Losses) -> str:
    rows = [[f"{epoch:g}", _nearest(losses.train, epoch), f"{loss:.3f}"] for epoch, loss in losses.validation]
    return table(["epochs done", "training", "validation"], rows, caption="Loss (nats) after each epoch")


def _nearest(points: Sequence[Point], epoch: float) -> str:
    """The last value until an epoch."""
    before = [loss for x, loss in points if x <= epoch + 1e-9]
    return f"{before[-1]:.3f}" if before else ""


def _examples(report: Report) -> str:
    told = "Each session was given without its last item. An answer that names that item is a hit."
    cards = "".join(card(example, report.notes) for example in report.examples)
    return f'{paragraph(told)}<div class="cards">{cards}</div>'
