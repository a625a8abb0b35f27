"""What the command line says: diffs and the summary."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from merlin_migrate.codemod import Result
from merlin_migrate.codemod.rule import MARK
from merlin_migrate.codemod.rules import RULES

_COLOURS = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"}
_BOLD, _END = "\033[1m", "\033[0m"


@dataclass
class Report:
    """What became of the files.

    Args:
        results: by file, those that have changes or marks.
        unchanged: files with nothing to do.
        skipped: files left out, and why.
        failed: files that could not be rewritten, and why.
    """

    results: dict[Path, Result] = field(default_factory=dict)
    unchanged: list[Path] = field(default_factory=list)
    skipped: dict[Path, str] = field(default_factory=dict)
    failed: dict[Path, str] = field(default_factory=dict)

    def add(self, path: Path, result: Result) -> None:
        """Notes one file."""
        if result.changed or result.marks:
            self.results[path] = result
        else:
            self.unchanged.append(path)

    def exit_code(self, *, written: bool) -> int:
        """0 if nothing is left to do, 1 if changes or marks are pending, 2 if a file failed."""
        if self.failed:
            return 2
        pending = any(result.marks or (result.changed and not written) for result in self.results.values())
        return int(pending)

    def lines(self, *, written: bool) -> Iterator[str]:
        """The summary."""
        changed = [path for path, result in self.results.items() if result.changed]
        counts = Counter[str]()
        for path, result in self.results.items():
            counts.update(result.applied)
            yield from marked_places(path, result, written=written)
        for path, reason in self.skipped.items():
            yield f"{path}: skipped, {reason}"
        for path, reason in self.failed.items():
            yield f"{path}: failed, {reason}"
        verb = "rewritten" if written else "to rewrite"
        marks = sum(len(result.marks) for result in self.results.values())
        yield (
            f"{_count(len(changed), 'file')} {verb}, {_count(marks, 'place')} marked for a hand, "
            f"{len(self.unchanged)} without legacy names, {len(self.skipped)} skipped, "
            f"{len(self.failed)} failed"
        )
        for rule in RULES:
            if counts[rule.number]:
                yield f"  {rule.number} {rule.title}: {counts[rule.number]}"
        if changed and not written:
            yield "nothing is written yet: run again with --write"


def marked_places(path: Path, result: Result, *, written: bool) -> Iterator[str]:
    """The places of one file that need a hand: line, rule, reason, and where to read on.

    Args:
        path: of the file.
        result: what became of it.
        written: whether the file is as rewritten, so that lines are those of the comments; else they are
            those of the places in the file as it is.
    """
    moved = _lines_before(result) if result.marks and result.changed and not written else {}
    for mark in result.marks:
        line = moved.get(mark.line, mark.line)
        place = line if mark.cell is None else f"cell {mark.cell}:{mark.line}"
        yield f"{path}:{place}: {mark.rule} {mark.reason} ({mark.link})"


def _lines_before(result: Result) -> dict[int, int]:
    """Of each line of the rewritten program, the line as it was; of a comment, that of its place."""
    before, after = (
        content.decode("utf-8", "replace").splitlines() for content in (result.before, result.after)
    )
    lines: dict[int, int] = {}
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for _, first, end, new_first, new_end in matcher.get_opcodes():
        for new in range(new_first, new_end):
            lines[new + 1] = min(first + new - new_first, max(end - 1, first)) + 1
    for number in range(len(after), 0, -1):
        if after[number - 1].lstrip().startswith(MARK):
            lines[number] = lines.get(number + 1, lines[number])
    return lines


def _count(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def diff(path: Path, result: Result, *, colour: bool) -> Iterator[str]:
    """The unified diff of one file."""
    before, after = (
        content.decode("utf-8", "replace").splitlines() for content in (result.before, result.after)
    )
    name = path.as_posix().removeprefix("/")
    for number, line in enumerate(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm="")):
        if not colour:
            yield line
        elif number < 2:
            yield f"{_BOLD}{line}{_END}"
        else:
            start = _COLOURS.get(line[:1])
            yield f"{start}{line}{_END}" if start else line
