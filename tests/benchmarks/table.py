"""Lines of the table."""

from __future__ import annotations

HEAD = (
    "| stage | what | Transformers4Rec 23.12 | here | ratio | promised |",
    "|---|---|---|---|---|---|",
)


def line(stage: str, what: str, cells: tuple[str, str], ratio: float, promised: float | None) -> str:
    """A line: what Transformers4Rec takes and what we take, and whether the ratio is the promised one."""
    word = f"{promised:g} ({'reached' if ratio >= promised else 'missed'})" if promised else ""
    return f"| {stage} | {what} | {cells[0]} | {cells[1]} | {ratio:.1f} | {word} |"


def seconds(value: float) -> str:
    """A time to read."""
    return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.2f} s"
