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
from merlin_migrate.codemod.rule import LEGACY_ROOTS


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
    try:
        wrapper = meta.MetadataWrapper(cst.parse_module(source))
    except cst.ParserSyntaxError:
        return Counter()
    visitor = _Names()
    wrapper.visit(visitor)
    return visitor.counts


class _Names(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (meta.QualifiedNameProvider, meta.ParentNodeProvider)

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def visit_Import(self, node: cst.Import) -> bool:
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        return False

    def visit_Attribute(self, node: cst.Attribute) -> None:
        self._count(node)

    def visit_Name(self, node: cst.Name) -> None:
        self._count(node)

    def _count(self, node: cst.Attribute | cst.Name) -> None:
        """The longest dotted name counts, not its parts."""
        above = self.get_metadata(meta.ParentNodeProvider, node, None)
        if isinstance(above, cst.Attribute) and (above.attr is node or self._legacy(above)):
            return
        root: cst.BaseExpression = node
        while isinstance(root, cst.Attribute):
            root = root.value
        name = self._legacy(node)
        if name and isinstance(root, cst.Name):
            self.counts[name] += 1

    def _legacy(self, node: cst.CSTNode) -> str | None:
        for found in self.get_metadata(meta.QualifiedNameProvider, node, set()) or ():
            imported = found.source is meta.QualifiedNameSource.IMPORT
            if imported and found.name.partition(".")[0] in LEGACY_ROOTS:
                return str(found.name)
        return None
