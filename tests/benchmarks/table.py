"""Lines of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

HEAD = (
    "| stage | what | Transformers4Rec 23.12 | here | ratio | round by round | promised |",
    "|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Line:
    """What Transformers4Rec takes and what we take of one thing.

    Args:
        stage: what the table calls it; empty for a further line of the stage above.
        what: is measured.
        cells: of both sides, to read.
        ratio: of the best of both sides.
        rounds: ratio of each round, if there are several.
        promised: ratio that was promised.
        word: stands for the promise, where it is no ratio.
    """

    stage: str
    what: str
    cells: tuple[str, str]
    ratio: float
    rounds: tuple[float, ...] = ()
    promised: float | None = None
    word: str | None = None

    @property
    def reached(self) -> bool:
        """Whether the ratio is the promised one; true where none was."""
        return not self.promised or self.ratio >= self.promised

    def markdown(self) -> str:
        """The line."""
        word = f"{self.promised:g} ({'reached' if self.reached else 'missed'})" if self.promised else ""
        cells = (self.stage, self.what, *self.cells, f"{self.ratio:.1f}", spread(self.rounds))
        return f"| {' | '.join(cells)} | {self.word or word} |"


def line(stage: str, what: str, cells: tuple[str, str], ratio: float, promised: float | None) -> Line:
    """A line of one round."""
    return Line(stage, what, cells, ratio, promised=promised)


def spread(values: Sequence[float]) -> str:
    """Least, median and largest of several numbers; nothing of one."""
    if len(values) < 2:
        return ""
    return " / ".join(f"{value:.1f}" for value in (min(values), median(values), max(values)))


def times(values: Sequence[float]) -> str:
    """The best time of some rounds, with the median and the worst where there are several."""
    if len(values) < 2:
        return seconds(values[0])
    return f"{seconds(min(values))} ({seconds(median(values))}, {seconds(max(values))})"


def seconds(value: float) -> str:
    """A time to read."""
    return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.2f} s"
