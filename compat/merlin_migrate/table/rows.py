"""Many entries in few lines: names of one module that share what is said of them."""

from __future__ import annotations

from collections.abc import Iterator

from merlin_migrate.table.entry import Entry, Kind

Row = tuple[Kind, str, str, str, str]
"""Kind, module below the package, names (``old=new`` where the new one differs), replacement, note.

A replacement ``mm.*`` stands for the core's object of the new name. A module that begins with ``!`` does not
lend its names to the package itself.
"""


def rows(package: str, guide: str, given: tuple[Row, ...]) -> Iterator[Entry]:
    """Entries of a package.

    Args:
        package: its dotted name.
        guide: page and anchor.
        given: what is said of the names.
    """
    for kind, home, names, replacement, note in given:
        own = home.startswith("!")
        module = f"{package}.{home.removeprefix('!')}".rstrip(".")
        for pair in names.split():
            old, _, new = pair.partition("=")
            yield Entry(
                f"{module if own else package}.{old}",
                kind,
                replacement.replace("mm.*", f"mm.{new or old}"),
                guide,
                note,
                also=() if own or module == package else (f"{module}.{old}",),
            )
