"""Names under which results are reported."""

from __future__ import annotations

import re
from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.rule import Rule

METRICS = {
    "ndcg": "ndcg",
    "recall": "recall",
    "precision": "precision",
    "avg_precision": "map",
    "mean_reciprocal_rank": "mrr",
}
_METRIC = re.compile(rf"\w+_/next-item/({'|'.join(METRICS)})_at_(\d+)")
_LOSS = re.compile(r"\w+_/loss")
_PART = re.compile(r"_/next-item|_/loss")


def new_key(key: str) -> str | None:
    """The key of the new API for a legacy metric key such as ``eval_/next-item/ndcg_at_10``."""
    if _LOSS.fullmatch(key):
        return "val_loss"
    if found := _METRIC.fullmatch(key):
        return f"val_{METRICS[found[1]]}_at_{found[2]}"
    return None


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
        key = new_key(value)
        if key is not None:
            self.done()
            return cst.SimpleString(f"{original_node.prefix}{original_node.quote}{key}{original_node.quote}")
        if _PART.search(value):
            self.mark("metric keys are val_loss, val_ndcg_at_10 and so on", "metrics")
        return updated_node

    def leave_FormattedString(
        self, original_node: cst.FormattedString, updated_node: cst.FormattedString
    ) -> cst.BaseExpression:
        """A key put together is marked."""
        texts = [part.value for part in original_node.parts if isinstance(part, cst.FormattedStringText)]
        if any(_PART.search(text) for text in texts):
            self.mark("metric keys are val_loss, val_ndcg_at_10 and so on", "metrics")
        return updated_node
