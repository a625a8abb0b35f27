"""Sessions with their answers, each on a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from merlin_models_torch.reporting.text import label


@dataclass(frozen=True)
class Example:
    """A session and what was answered.

    Args:
        session: its key.
        seen: the items that were given, in order of time.
        followed_by: the item that came next, or several.
        answers: by system, the items it answered, best first.
        what: what it is, where it is no session.
    """

    session: str
    seen: Sequence[str]
    followed_by: str | Sequence[str]
    answers: Mapping[str, Sequence[str]]
    what: str = "session"


def card(example: Example, notes: Mapping[str, str], *, more: str = "") -> str:
    """A card; an answer that came next is marked.

    Args:
        example: what is on it.
        notes: a word about an item, by item, shown beside it.
        more: HTML below.
    """
    wanted = [example.followed_by] if isinstance(example.followed_by, str) else list(example.followed_by)
    seen = "".join(f"<li>{item(one, notes)}</li>" for one in example.seen)
    path = f'<h4>seen, in order of time</h4><ul class="path">{seen}</ul>' if seen else ""
    lists = []
    for system, answers in example.answers.items():
        rows = []
        for one in answers:
            if one in wanted:
                rows.append(f'<li class="hit">{item(one, notes)}<strong class="mark">✓ hit</strong></li>')
            else:
                rows.append(f"<li>{item(one, notes)}</li>")
        lists.append(f"<div><h4>{label(system)}</h4><ol>{''.join(rows)}</ol></div>")
    came = ", ".join(item(one, notes) for one in wanted)
    return (
        f'<article class="card"><h3>{label(example.what)} {label(example.session)}</h3>{path}'
        f'<p class="next">came next: <b>{came or "nothing"}</b></p>'
        f'<div class="answers">{"".join(lists)}</div>{more}</article>'
    )


def item(name: str, notes: Mapping[str, str]) -> str:
    """An item and the word about it."""
    note = notes.get(name)
    return label(name) if note is None else f"{label(name)} <small>{label(note)}</small>"
