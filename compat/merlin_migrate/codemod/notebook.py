"""Notebooks: their code cells are one program, and nothing else of them changes."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from merlin_migrate.codemod.rewrite import LEGACY, DoesNotParse, Mark, Result, marks_of, rewrite_source

_BREAK = "__merlin_migrate_cell_{}__"
_BROKEN = re.compile(r'^"__merlin_migrate_cell_(\d+)__"\n', re.MULTILINE)
_MAGIC = re.compile(r"^(?P<indent>\s*)(?P<text>[%!?].*)$")
_HIDDEN = re.compile(r"^(?P<indent>\s*)pass  #__merlin_migrate_magic__(?P<text>.*)$", re.MULTILINE)


def rewrite_notebook(source: bytes, *, rules: Sequence[str] | None = None, modern: bool = False) -> Result:
    """Rewrites the code cells of a notebook.

    Args:
        source: the file's bytes. Outputs, metadata and all other cells stay as they are.
        rules: numbers of the rules to run; all if not given.
        modern: whether options that keep the old behaviour are left out.

    Returns:
        The result; marks are counted by cell.

    Raises:
        DoesNotParse: if it is no notebook, or a cell with legacy names is no Python.
    """
    if not LEGACY.search(source):
        return Result(
            source, source, marks=tuple(_marks(_cells(source)[1])) if b"merlin-migrate" in source else ()
        )
    notebook, cells = _cells(source)
    texts = {number: _text(cell) for number, cell in cells.items()}
    hidden = {number: _python(number, text) for number, text in texts.items()}
    joined = "".join(
        f'"{_BREAK.format(number)}"\n{text}\n' for number, text in hidden.items() if text is not None
    )
    result = rewrite_source(joined.encode(), rules=rules, modern=modern)
    _, *parts = _BROKEN.split(result.after.decode())
    after = {int(n): _shown(text.removesuffix("\n")) for n, text in zip(parts[::2], parts[1::2], strict=True)}
    changed = False
    for number, text in after.items():
        if text != texts[number]:
            changed = True
            old = cells[number]["source"]
            cells[number]["source"] = text if isinstance(old, str) else text.splitlines(keepends=True)
    marks = tuple(_marks(cells))
    if not changed:
        return Result(source, source, marks=marks)
    return Result(source, _written(source, notebook), result.applied, marks)


def _cells(source: bytes) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    """The notebook and its code cells by number, counted from 1 among all cells."""
    try:
        notebook = json.loads(source)
        cells = notebook["cells"]
        code = {number: cell for number, cell in enumerate(cells, 1) if cell["cell_type"] == "code"}
        for cell in code.values():
            _text(cell)
    except (ValueError, KeyError, TypeError) as error:
        raise DoesNotParse(
            "not rewritten, it is no notebook of format 4 (a JSON object with cells)"
        ) from error
    return notebook, code


def _text(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def _python(number: int, text: str) -> str | None:
    """The cell as Python, its magics hidden in comments; None if it is something else."""
    if not text.lstrip().startswith("%%"):
        lines = []
        continued = False
        for line in text.splitlines(keepends=True):
            found = _MAGIC.match(line.rstrip("\r\n"))
            if found or continued:
                indent = found["indent"] if found and not continued else ""
                shown = line[len(indent) :].rstrip("\r\n")
                lines.append(f"{indent}pass  #__merlin_migrate_magic__{shown}{line[len(line.rstrip()) :]}")
                continued = shown.endswith("\\")
            else:
                lines.append(line)
        for candidate in (text, "".join(lines)):
            try:
                ast.parse(candidate)
            except (SyntaxError, ValueError):
                continue
            return candidate
    if LEGACY.search(text.encode()):
        raise DoesNotParse(
            f"not rewritten, cell {number} uses legacy names and is no Python that can be read"
        )
    return None


def _shown(text: str) -> str:
    return _HIDDEN.sub(lambda found: found["indent"] + found["text"], text)


def _marks(cells: dict[int, dict[str, Any]]) -> list[Mark]:
    return [
        replace(mark, cell=number)
        for number, cell in cells.items()
        for mark in marks_of(_text(cell).encode())
    ]


def _written(source: bytes, notebook: dict[str, Any]) -> bytes:
    """The notebook as JSON in the layout that it had: one that gives the old bytes for the old content."""
    old = json.loads(source)
    end = "\n" if source.endswith(b"\n") else ""
    layouts: list[dict[str, Any]] = [
        {"indent": indent, "ensure_ascii": ascii_only, "sort_keys": False}
        for indent in (1, 2, 4, None, "\t")
        for ascii_only in (False, True)
    ]
    fitting = (lay for lay in layouts if (json.dumps(old, **lay) + end).encode() == source)
    return (json.dumps(notebook, **next(fitting, layouts[0])) + end).encode()
