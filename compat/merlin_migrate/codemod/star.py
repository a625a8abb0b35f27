"""Star imports of legacy modules become imports of the names that the program uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import libcst as cst
from libcst import metadata as meta

from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import LEGACY_ROOTS, Rule
from merlin_migrate.table import entries

_OF_NOTEBOOKS = frozenset({"__file__", "display", "exit", "get_ipython", "quit"})
"""Names that are there without an import or assignment, beside those of ``builtins``."""


class StarRule(Rule):
    """Runs before the numbered rules; counts as the rule of imports.

    A star stays, and is marked, where it cannot be told which names come by it: beside another star, in a
    module that exports names, and where a name comes from nowhere that is known.
    """

    number: ClassVar[str] = "MM109"
    title: ClassVar[str] = "imports"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._names: dict[cst.CSTNode, list[str]] = {}

    def visit_Module(self, node: cst.Module) -> None:
        """Finds out which star brings which name."""
        stars = [each for each in self.tree.all_of(cst.ImportFrom) if isinstance(each.names, cst.ImportStar)]
        offered = {star: names_of(star) for star in stars}
        if not stars or not all(offered.values()) or "__all__" in self.program.bound:
            return
        wanted = set(self._from_nowhere()) - _OF_NOTEBOOKS
        found: dict[cst.CSTNode, list[str]] = {star: [] for star in stars}
        for name in sorted(wanted):
            bringing = [star for star in stars if name in offered[star]]
            if not bringing:
                return
            found[bringing[-1]].append(name)
        if wanted:
            self._names = found

    def _from_nowhere(self) -> Iterator[str]:
        """Names that the program reads and nothing in it sets."""
        for scope in {*self.tree.scopes.values()} - {None}:
            for access in scope.accesses:  # type: ignore[union-attr]
                node: cst.CSTNode = access.node
                while isinstance(node, cst.Attribute):
                    node = node.value
                if isinstance(node, cst.Name) and not _is_known(scope, node.value):
                    yield node.value

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement:
        """One star import; it goes where the program uses none of its names."""
        if not any(small in self._names for small in original_node.body):
            return updated_node
        self.done()
        body = []
        for small in original_node.body:
            names = self._names.get(small)
            if names:
                small = small.with_changes(names=[cst.ImportAlias(cst.Name(name)) for name in names])
            if names is None or names:
                body.append(small)
        return updated_node.with_changes(body=body) if body else self.dropped(updated_node)


def _is_known(scope: meta.Scope | None, name: str) -> bool:
    return scope is not None and bool(scope[name])


def names_of(star: cst.ImportFrom) -> frozenset[str]:
    """The names that a legacy module has; none of other modules."""
    if star.relative or star.module is None:
        return frozenset()
    module = code(star.module)
    if module.partition(".")[0] not in LEGACY_ROOTS:
        return frozenset()
    known = (name.rpartition(".") for entry in entries() for name in (entry.name, *entry.also))
    return frozenset(last for owner, _, last in known if owner == module)
