"""Which legacy names a code base uses, how often, and how many of them move by themselves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import libcst as cst
from libcst import metadata as meta

from merlin_migrate.codemod import Result
from merlin_migrate.codemod.rewrite import LEGACY
from merlin_migrate.codemod.rule import LEGACY_ROOTS
from merlin_migrate.codemod.tree import Tree, below


@dataclass
class Usage:
    """Legacy names of some programs.

    Args:
        before: uses of each name.
        after: uses that are left once the programs are rewritten.
    """

    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)

    def add(self, other: Usage) -> None:
        """Counts those of another program, too."""
        self.before.update(other.before)
        self.after.update(other.after)

    def lines(self) -> Iterator[str]:
        """A table, most used first."""
        if not self.before:
            yield "no legacy names are used"
            return
        width = max(len(name) for name in self.before)
        yield f"{'name':{width}}  uses  by itself  by hand"
        for name, uses in sorted(self.before.items(), key=lambda item: (-item[1], item[0])):
            left = min(self.after[name], uses)
            yield f"{name:{width}}  {uses:4}  {uses - left:9}  {left:7}"
        total = sum(self.before.values())
        left = sum(min(self.after[name], uses) for name, uses in self.before.items())
        yield (
            f"{total} uses of {len(self.before)} names: {total - left} move by themselves, {left} need a hand"
        )


def usage(path: Path, result: Result) -> Usage:
    """What one program uses, before and after it is rewritten."""
    before, after = (
        _names(_source(content) if path.suffix == ".ipynb" else content)
        for content in (result.before, result.after)
    )
    return Usage(before, after)


def _source(notebook: bytes) -> bytes:
    cells = json.loads(notebook)["cells"]
    texts = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    lines = [line for text in texts for line in text.splitlines() if not line.lstrip().startswith(("%", "!"))]
    return "\n".join(lines).encode()


def _names(source: bytes) -> Counter[str]:
    """How often each legacy name is used, the longest dotted one for its parts."""
    if not LEGACY.search(source):
        return Counter()
    try:
        tree = Tree(cst.parse_module(source))
    except cst.ParserSyntaxError:
        return Counter()
    return Counter(_uses(tree, tree.module))


def _uses(tree: Tree, node: cst.CSTNode) -> Iterator[str]:
    if isinstance(node, (cst.Import, cst.ImportFrom)):
        return
    if isinstance(node, (cst.Attribute, cst.Name)):
        name = _legacy(tree, node)
        if name and _is_dotted(node):
            yield name
            return
    for child in below(node):
        if not (isinstance(node, cst.Attribute) and child is node.attr):
            yield from _uses(tree, child)


def _is_dotted(node: cst.BaseExpression) -> bool:
    while isinstance(node, cst.Attribute):
        node = node.value
    return isinstance(node, cst.Name)


def _legacy(tree: Tree, node: cst.CSTNode) -> str | None:
    for found in tree.qualified_names(node):
        imported = found.source is meta.QualifiedNameSource.IMPORT
        if imported and found.name.partition(".")[0] in LEGACY_ROOTS:
            return str(found.name)
    return None
