"""Imports: those that nothing needs any more go, the new ones take the place of the first."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.tree import bound_name, is_used

MERLIN = (
    *("merlin.core", "merlin.dag", "merlin.dataloader", "merlin.datasets", "merlin.dtypes"),
    *("merlin.io", "merlin.loader", "merlin.models", "merlin.schema", "merlin.table"),
)


class ImportsRule(Rule):
    """The last rule."""

    number: ClassVar[str] = "MM109"
    title: ClassVar[str] = "imports"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._place: cst.CSTNode | None = None
        self._wanted: list[str] = []

    def visit_Module(self, node: cst.Module) -> None:
        """Finds which imports are missing, and the statement that they replace or follow."""
        imported = set()
        last: cst.CSTNode | None = None
        for line in node.body:
            if not isinstance(line, cst.SimpleStatementLine):
                continue
            for small in line.body:
                if isinstance(small, (cst.Import, cst.ImportFrom)):
                    last = line
                    if self._place is None and any(self._is_legacy(small, a) for a in self._unused(small)):
                        self._place = line
                if isinstance(small, cst.Import):
                    imported |= {
                        code(name.with_changes(comma=cst.MaybeSentinel.DEFAULT)) for name in small.names
                    }
        alias = self.program.alias
        statements = {
            **{
                name: name
                for name in ("dataclasses", "gc", "lightning", "os", "torch", "transformers", "types")
            },
            "numpy": "numpy as np",
            "merlin_models_torch": (
                "merlin_models_torch" if alias == "merlin_models_torch" else f"merlin_models_torch as {alias}"
            ),
        }
        self._wanted = [
            statements[name] for name in sorted(self.program.imports) if statements[name] not in imported
        ]
        if self._place is None:
            self._place = last or self._docstring(node)

    @staticmethod
    def _docstring(node: cst.Module) -> cst.CSTNode | None:
        first = node.body[0] if node.body else None
        return first if node.get_docstring() is not None else None

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        """Puts new imports first where there was none to replace."""
        module = super().leave_Module(original_node, updated_node)
        if self._wanted and self._place is None:
            return module.with_changes(body=[*self._lines(), *module.body])
        return module

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """Removes what is unused from one statement, and adds what is missing to the first."""
        kept = [small for small in map(self._kept, original_node.body) if small is not None]
        changed = updated_node
        if len(kept) != len(original_node.body) or any(
            a is not b for a, b in zip(kept, original_node.body, strict=False)
        ):
            self.done()
            changed = updated_node.with_changes(body=kept) if kept else self.dropped(updated_node)
        if original_node is not self._place or not self._wanted:
            return changed
        lines = self._lines()
        if kept:
            return cst.FlattenSentinel([changed, *lines])
        lines[0] = lines[0].with_changes(leading_lines=changed.leading_lines)
        return cst.FlattenSentinel(lines)

    def _lines(self) -> list[cst.SimpleStatementLine]:
        statements = [cst.parse_statement(f"import {name}") for name in self._wanted]
        return [line for line in statements if isinstance(line, cst.SimpleStatementLine)]

    def _kept(self, small: cst.BaseSmallStatement) -> cst.BaseSmallStatement | None:
        """The statement with the names that are needed; the very same if it needs no change."""
        if not isinstance(small, (cst.Import, cst.ImportFrom)) or isinstance(small.names, cst.ImportStar):
            return small
        unused = self._unused(small)
        if not unused:
            return small
        names = [alias for alias in small.names if alias not in unused]
        if not names:
            return None
        names[-1] = names[-1].with_changes(comma=small.names[-1].comma)
        return small.with_changes(names=names)

    def _unused(self, small: cst.Import | cst.ImportFrom) -> list[cst.ImportAlias]:
        if isinstance(small.names, cst.ImportStar):
            return []
        return [alias for alias in small.names if self._may_go(small, alias) and not self._is_used(alias)]

    def _may_go(self, small: cst.Import | cst.ImportFrom, alias: cst.ImportAlias) -> bool:
        """Whether the name is a legacy one, or was used before the program was rewritten."""
        return bound_name(alias) in self.program.used or self._is_legacy(small, alias)

    @staticmethod
    def _is_legacy(small: cst.Import | cst.ImportFrom, alias: cst.ImportAlias) -> bool:
        if isinstance(small, cst.ImportFrom):
            if small.relative or small.module is None:
                return False
            path = f"{code(small.module)}.{alias.evaluated_name}"
        else:
            path = alias.evaluated_name
        known = ("transformers4rec", "merlin_standard_lib")
        return path.partition(".")[0] in known or path.startswith(MERLIN)

    def _is_used(self, alias: cst.ImportAlias) -> bool:
        if self._is_guarded(alias):
            return True
        if bound_name(alias) in self.program.strings and "__all__" in self.program.bound:
            return True
        return is_used(self.tree, alias)

    def _is_guarded(self, alias: cst.ImportAlias) -> bool:
        """Whether the import may fail: what its ``except`` branch does is the user's to judge."""
        above = self.parent(alias)
        while above is not None and not isinstance(above, cst.FunctionDef):
            if isinstance(above, cst.Try):
                return True
            above = self.parent(above)
        return False
