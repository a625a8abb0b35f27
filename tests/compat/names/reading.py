"""Public names of packages, read from their source alone: nothing is imported, no test is opened."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

Names = dict[str, list[str]]
_SKIPPED = {"tests", "testing"}


def _modules(root: Path, package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        private = any(part.startswith("_") and part != "__init__" for part in parts)
        if private or not _SKIPPED.isdisjoint(parts):
            continue
        yield ".".join([package, *(part for part in parts if part != "__init__")]), path


def _listed(tree: ast.Module) -> list[str]:
    """What ``__all__`` says."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
        ):
            return [str(name) for name in ast.literal_eval(node.value)]
    return []


def _defined(tree: ast.AST) -> Iterator[str]:
    """Classes and functions of the module itself, also those below an ``if`` or ``try``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            # Functions and registries that a call makes; constants and loggers are no names to migrate.
            yield from (
                t.id for t in node.targets if isinstance(t, ast.Name) and t.id.islower() and t.id != "logger"
            )
        elif isinstance(node, ast.If | ast.Try | ast.ExceptHandler):
            yield from _defined(node)


def _taken(tree: ast.Module, package: str) -> Iterator[str]:
    """What a package's ``__init__`` imports from its own family: its public exports."""
    family = package.partition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == family:
            yield from (alias.asname or alias.name for alias in node.names)


def public_names(root: Path, package: str) -> Names:
    """Names of a package and its modules.

    Args:
        root: folder of the package.
        package: its dotted name.

    Returns:
        Sorted public names by dotted name of the module; modules without any are left out.
    """
    found: Names = {}
    for module, path in _modules(root, package):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {*_listed(tree), *_defined(tree)}
        if path.name == "__init__.py":
            names |= set(_taken(tree, package))
        if public := sorted(name for name in names if not name.startswith("_")):
            found[module] = public
    return found
