"""Where a program uses names of Merlin, and of which generation they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

import libcst as cst

from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.tree import below, walk

V2 = "merlin.models.torch"
ROOTS = (f"{V2}.", "merlin.io.", "merlin.dataloader.")


def uses(
    rule: Rule, node: cst.CSTNode, roots: tuple[str, ...] = ROOTS
) -> Iterator[tuple[cst.BaseExpression, str]]:
    """Each use of a name of some packages, the longest dotted.

    Args:
        rule: that asks.
        node: the program, or a part of it.
        roots: of the names; merlin.models.torch, merlin.io and merlin.dataloader if not given.

    Yields:
        The expression, and what it names.
    """
    if isinstance(node, (cst.Import, cst.ImportFrom)):
        return
    if isinstance(node, (cst.Name, cst.Attribute)):
        name = rule.qualified(node)
        if name and name.startswith(roots) and _is_dotted(node):
            yield node, name
            return
    for child in below(node):
        if not (isinstance(node, cst.Attribute) and child is node.attr):
            yield from uses(rule, child, roots)


def imports(module: cst.CSTNode) -> bool:
    """Whether a program imports anything of ``merlin.models``; quick, as most do not."""
    statements = (node for node in walk(module) if isinstance(node, (cst.Import, cst.ImportFrom)))
    return any("merlin" in text and "models" in text for text in map(code, statements))


def short(name: str) -> str:
    """A dotted name from its class on: ``Head.from_schema``; empty if it has no class."""
    parts = name.split(".")
    first = next((i for i, part in enumerate(parts) if part[:1].isupper()), len(parts))
    return ".".join(parts[first:])


def is_v1(rule: Rule, node: cst.BaseExpression) -> bool:
    """Whether an expression names what only V1 of merlin.models.torch had."""
    entry = rule.entry(node)
    return entry is not None and entry.name.startswith(f"{V2}.") and entry.guide.endswith("#v1")


def alias_of(module: cst.CSTNode, package: str = V2) -> str | None:
    """The name that an old package was imported under, which is the new one's from then on."""
    nodes = (node for node in walk(module) if is_package(node, package))
    return next((str(node.evaluated_alias) for node in nodes if node.evaluated_alias), None)


def moved_alias(
    rule: Rule, original: cst.ImportAlias, updated: cst.ImportAlias, package: str = V2
) -> cst.ImportAlias:
    """``import merlin.models.torch as mm`` with the new package's name; other imports as they are."""
    inside = isinstance(rule.parent(original), cst.ImportFrom)
    if inside or original.evaluated_alias != rule.program.alias or not is_package(original, package):
        return updated
    return updated.with_changes(name=cst.Name("merlin_models_torch"))


def is_package(node: cst.CSTNode, package: str = V2) -> TypeGuard[cst.ImportAlias]:
    """Whether a node imports the package itself."""
    return isinstance(node, cst.ImportAlias) and node.evaluated_name == package


def _is_dotted(node: cst.BaseExpression) -> bool:
    while isinstance(node, cst.Attribute):
        node = node.value
    return isinstance(node, cst.Name)
