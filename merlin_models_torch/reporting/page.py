"""One HTML page of sections, in a single file: no network, no script.

Styles and charts are inside it. It follows the reader's light or dark mode, and the width of the screen. All
that comes from data goes through :func:`reporting.text.text`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from merlin_models_torch.reporting.style import STYLE
from merlin_models_torch.reporting.text import label, text
from merlin_models_torch.storage import whole_file, writing


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Args:
        name: its anchor, a short word.
        title: its heading.
        body: HTML.
    """

    name: str
    title: str
    body: str


def document(
    *, title: str, summary: str, tiles: Sequence[tuple[str, str]], sections: Sequence[Section]
) -> str:
    """The page as HTML that is well-formed XML too.

    Args:
        title: of the page.
        summary: one or two sentences below it.
        tiles: short figures and what they are, the first ones read.
        sections: in order; their names are distinct.
    """
    parts = "\n".join(
        f'<section aria-labelledby="{one.name}"><h2 id="{one.name}">{text(one.title)}</h2>\n'
        f"{one.body}</section>"
        for one in sections
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<title>{text(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header><h1>{text(title)}</h1><p class="summary">{text(summary)}</p></header>
<dl class="tiles">{"".join(_fact(name, value, "tile") for value, name in tiles)}</dl>
{parts}
</main>
</body>
</html>
"""


def write_page(page: str, path: str | os.PathLike[str]) -> Path:
    """Writes a page; an older one is replaced when the new one is whole, and kept if it never is.

    Args:
        page: its HTML.
        path: of the file; folders are made.

    Returns:
        The path.

    Raises:
        WriteError: if it cannot be written.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as work:
        work.write_text(page, encoding="utf-8")
    return path


def charts(figures: Sequence[str]) -> str:
    """Figures and tables side by side, as many as the screen has room for."""
    return f'<div class="charts">{"".join(figures)}</div>'


def figure(name: str, meaning: str, chart: str, *, wide: bool = False) -> str:
    """A chart with its caption.

    Args:
        name: what is shown, in bold.
        meaning: a few words more.
        chart: ``svg``, and what stands below it.
        wide: drawn larger where there is room.
    """
    kind = ' class="wide"' if wide else ""
    return f"<figure{kind}><figcaption><b>{text(name)}</b> {text(meaning)}</figcaption>{chart}</figure>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "") -> str:
    """A table whose first column names its rows; it scrolls by itself where the screen is narrow."""
    told = f"<caption>{text(caption)}</caption>" if caption else ""
    names = "".join(f'<th scope="col">{text(name)}</th>' for name in head)
    lines = "".join(
        f'<tr><th scope="row">{label(first)}</th>{"".join(f"<td>{label(cell)}</td>" for cell in cells)}</tr>'
        for first, *cells in rows
    )
    head_row = f"<thead><tr>{names}</tr></thead>"
    # What scrolls is to be reached by keyboard, too.
    return f'<div class="scroll" tabindex="0"><table>{told}{head_row}<tbody>{lines}</tbody></table></div>'


def details(summary: str, body: str) -> str:
    """Something that is shown on request."""
    return f"<details><summary>{text(summary)}</summary>{body}</details>"


def paragraph(sentence: str, *, kind: str = "") -> str:
    """A sentence, of a class of the style sheet."""
    return f'<p class="{kind}">{text(sentence)}</p>' if kind else f"<p>{text(sentence)}</p>"


def facts(values: Mapping[str, str]) -> str:
    """Names and values."""
    rows = "".join(_fact(name, value, "fact") for name, value in values.items())
    return f'<dl class="facts">{rows}</dl>'


def legend(names: Sequence[str], *, kind: str = "series") -> str:
    """What the colours of a chart stand for, below it, for names that may be long or many."""
    rows = "".join(
        f'<li><svg viewBox="0 0 12 12" aria-hidden="true"><rect class="bar {kind}-{number}" '
        f'width="12" height="12" rx="2"/></svg>{label(name, longest=32)}</li>'
        for number, name in enumerate(names)
    )
    return f'<ul class="legend">{rows}</ul>'


def _fact(name: str, value: str, kind: str) -> str:
    return f'<div class="{kind}"><dt>{text(name)}</dt><dd>{text(value)}</dd></div>'
