"""Statements that share a line with one of a trainer get lines of their own."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.tree import walk

TRAINER = "transformers4rec.torch.Trainer"


class SplitRule(Rule):
    """Runs before the numbered rules; counts as the rule of training."""

    number: ClassVar[str] = "MM106"
    title: ClassVar[str] = "training"

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """One line with several statements."""
        parts = original_node.body
        if len(parts) < 2 or not any(map(self._of_trainer, parts)):
            return updated_node
        lines = self._lines(updated_node)
        lines[0] = lines[0].with_changes(leading_lines=updated_node.leading_lines)
        return cst.FlattenSentinel(lines)

    def leave_SimpleStatementSuite(
        self, original_node: cst.SimpleStatementSuite, updated_node: cst.SimpleStatementSuite
    ) -> cst.BaseSuite:
        """What stands behind the colon of a condition or loop."""
        if not any(map(self._of_trainer, original_node.body)):
            return updated_node
        return cst.IndentedBlock(self._lines(updated_node))

    def _lines(
        self, several: cst.SimpleStatementLine | cst.SimpleStatementSuite
    ) -> list[cst.SimpleStatementLine]:
        """A line for each statement; a comment behind them stays behind the last."""
        self.done()
        lines = [
            cst.SimpleStatementLine([small.with_changes(semicolon=cst.MaybeSentinel.DEFAULT)])
            for small in several.body
        ]
        lines[-1] = lines[-1].with_changes(trailing_whitespace=several.trailing_whitespace)
        return lines

    def _of_trainer(self, statement: cst.CSTNode) -> bool:
        return any(
            self.is_call_of(node, TRAINER)
            or (isinstance(node, cst.Name) and self.is_call_of(self.origin(node), TRAINER))
            for node in walk(statement)
        )
