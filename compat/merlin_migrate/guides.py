"""Writes what the migration guides take from elsewhere: ``python -m merlin_migrate.guides [--check] FOLDER``.

Tables of names come from the table, programs marked ``after`` from rewriting the one marked ``before``; one
with places that need a hand is marked ``marked`` instead.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from merlin_migrate.files import replace_file
from merlin_migrate.table import Entry, entries

_TABLE = re.compile(r"(<!-- names: (?P<anchor>[\w-]+) -->\n).*?(<!-- end of names -->)", re.DOTALL)
_NAMED = {
    "from-transformers4rec.md": "name of Transformers4Rec",
    "from-merlin-models-torch.md": "name of merlin.models.torch",
    "from-merlin-models-tensorflow.md": "name of merlin.models.tf",
}
_PAIR = re.compile(
    r"(```python before\n(?P<before>.*?)```\n.*?```python (?:after|marked)\n).*?(```\n)", re.DOTALL
)


def fresh_page(text: str, page: str) -> str:
    """A page with all its tables and rewritten programs made anew.

    Args:
        text: the page; tables stand between ``<!-- names: ANCHOR -->`` and ``<!-- end of names -->``.
        page: its file name.

    Raises:
        ValueError: if an anchor has no entry in the table of names, or a program does not parse.
    """
    from merlin_migrate.codemod import rewrite_source

    def made(found: re.Match[str]) -> str:
        guide = f"{page}#{found['anchor']}"
        rows = [entry for entry in entries() if entry.guide == guide]
        if not rows:
            raise ValueError(f"no name has the guide {guide!r}: correct the comment in {page}")
        return f"{found[1]}{chr(10).join(_tables(rows, _NAMED.get(page, 'name')))}\n{found[3]}"

    def rewritten(found: re.Match[str]) -> str:
        return f"{found[1]}{rewrite_source(found['before'].encode()).after.decode()}{found[3]}"

    return _PAIR.sub(rewritten, _TABLE.sub(made, text))


def _tables(rows: Sequence[Entry], heading: str) -> Iterator[str]:
    yield f"| {heading} | kind | here | what to know |"
    yield "|---|---|---|---|"
    for entry in rows:
        replacement = f"`{entry.replacement}`" if entry.replacement else ""
        yield f"| `{entry.name}` | {entry.kind} | {replacement} | {_sentence(entry.note)} |"
    for entry in rows:
        if entry.arguments:
            yield ""
            yield f"| argument of `{entry.name}` | becomes |"
            yield "|---|---|"
            yield from (f"| `{name}` | {_sentence(new)} |" for name, new in entry.arguments.items())


def _sentence(text: str) -> str:
    return text.replace("|", "\\|")


def stale_pages(folder: Path) -> dict[Path, str]:
    """The pages that are not as they should be, and what they should be.

    Raises:
        ValueError: if a page names an anchor without entries.
    """
    stale = {}
    for path in sorted(folder.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if (fresh := fresh_page(text, path.name)) != text:
            stale[path] = fresh
    return stale


def main(argv: Sequence[str] | None = None) -> int:
    """Writes stale pages, or with ``--check`` only names them.

    Returns:
        1 if ``--check`` found any, else 0.
    """
    parser = argparse.ArgumentParser(prog="python -m merlin_migrate.guides", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the guides")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(argv)
    stale = stale_pages(options.folder)
    for path, text in stale.items():
        if not options.check:
            replace_file(path, text.encode())
        sys.stdout.write(f"{path}: {'stale' if options.check else 'written'}\n")
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
