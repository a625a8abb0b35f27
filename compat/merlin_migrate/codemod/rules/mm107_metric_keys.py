"""Names under which results are reported."""

from __future__ import annotations

import re
from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.metric_keys import new_key
from merlin_migrate.codemod.rule import Rule

_PART = re.compile(r"\bnext-item/|_/next-item|_/loss")


class MetricKeysRule(Rule):
    """Strings that are metric keys."""

    number: ClassVar[str] = "MM107"
    title: ClassVar[str] = "metric keys"

    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.BaseExpression:
        """A whole key; a part of one is marked."""
        value = original_node.evaluated_value
        if not isinstance(value, str) or isinstance(self.parent(original_node), cst.Expr):
            return updated_node
        key = new_key(value) or self._own_key(original_node, value)
        if key is not None:
            self.done()
            return cst.SimpleString(f"{original_node.prefix}{original_node.quote}{key}{original_node.quote}")
        if _PART.search(value):
            self.mark("metric keys are val_loss, val_ndcg_at_10 and so on", "metrics")
        return updated_node

    def _own_key(self, node: cst.SimpleString, value: str) -> str | None:
        """The new name of what a trainer of the program's own has logged, where results are read."""
        key = self.program.metric_keys.get(value)
        index = self.parent(node)
        element = self.parent(index) if isinstance(index, cst.Index) else None
        read = self.parent(element) if element is not None else None
        if key is None or not isinstance(read, cst.Subscript):
            return None
        held = self.origin(read.value)
        return key if held is not None and ".validate(" in code(held) else None

    def leave_FormattedString(
        self, original_node: cst.FormattedString, updated_node: cst.FormattedString
    ) -> cst.BaseExpression:
        """A key put together is marked."""
        texts = [part.value for part in original_node.parts if isinstance(part, cst.FormattedStringText)]
        if any(_PART.search(text) for text in texts):
            self.mark("metric keys are val_loss, val_ndcg_at_10 and so on", "metrics")
        return updated_node
