"""Statements that go away: their comments move to the next one."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

# Stands for a statement until its block is left: libcst removes an empty one with its comments.
_DROPPED = "__dropped_by_merlin_migrate__"


def dropped(line: cst.SimpleStatementLine) -> cst.SimpleStatementLine:
    """The statement without its code, until :func:`left_of` is asked for its block."""
    return line.with_changes(body=[cst.Expr(cst.Name(_DROPPED))])


def _is_dropped(line: cst.BaseStatement) -> bool:
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and line.body else None
    return isinstance(small, cst.Expr) and isinstance(small.value, cst.Name) and small.value.value == _DROPPED


def left_of(
    body: Sequence[cst.BaseStatement], *, blank_first: bool = False
) -> tuple[list[cst.BaseStatement] | None, list[cst.EmptyLine]]:
    """The statements that are left, and the comments of a dropped last one; None if nothing was dropped."""
    if not any(map(_is_dropped, body)):
        return None, []
    left: list[cst.BaseStatement] = []
    carried: list[cst.EmptyLine] = []
    at_start = _is_dropped(body[0]) and not blank_first
    for line in body:
        own: list[cst.EmptyLine] = list(getattr(line, "leading_lines", ()))
        blank = min(_blanks(own), _blanks(carried[::-1]))
        lines = carried + own[blank:]
        while at_start and not left and lines and lines[0].comment is None:
            lines = lines[1:]
        if _is_dropped(line):
            carried = lines
        else:
            left.append(line.with_changes(leading_lines=lines) if lines != own else line)
            carried = []
    return left, [line for line in carried if line.comment]


def _blanks(lines: Sequence[cst.EmptyLine]) -> int:
    """How many empty lines come first."""
    return next((i for i, line in enumerate(lines) if line.comment), len(lines))
