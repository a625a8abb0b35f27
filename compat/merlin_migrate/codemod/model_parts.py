"""Parts of an old model that programs reach into, and where they are now."""

from __future__ import annotations

import libcst as cst

from merlin_migrate.codemod.follow import is_model
from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.trainers.given import answers_items

GONE = {
    "top_k": "model.predict(data, k=...) answers with the best items",
    "to_lightning": "it is a LightningModule",
    "input_schema": "its columns are those of its input blocks' schema",
    "output_schema": "its tables of answers have a schema of their own",
    "prediction_tasks": "its task is model.output",
}
"""Attributes of the old model, and what there is in their place."""


def model_part(rule: Rule, original: cst.Attribute, updated: cst.Attribute) -> cst.BaseExpression | None:
    """What becomes of an attribute of a model or of a part of it; None if it is nothing of the kind.

    What has no successor stays and is marked.
    """
    attr, owner = original.attr.value, original.value
    if attr in GONE and is_model(rule, owner):
        rule.mark(f"a model has no {attr}: {GONE[attr]}", "model")
        return updated
    if attr == "heads" and is_model(rule, owner):
        if not _is_known(rule, original):
            rule.mark("a model has no heads: its body is model.body, its task model.output", "model")
        return updated
    if (model := _of_head(rule, original, "body")) is not None:
        rule.done()
        return cst.Attribute(model, cst.Name("body"))
    if attr == "inputs" and (model := _of_head(rule, owner, "body")) is not None:
        return cst.Attribute(model, cst.Name("inputs"))
    inputs = owner.value if isinstance(owner, cst.Attribute) and owner.attr.value == "inputs" else None
    if attr == "item_embedding_table" and _of_head(rule, inputs, "body") is not None:
        return updated.with_changes(attr=cst.Name("item_table"))
    return None


def task_of(rule: Rule, node: cst.Subscript) -> cst.BaseExpression | None:
    """The model whose only task a node is: ``model.heads[0].prediction_task_dict["next-item"]``."""
    model = _of_head(rule, node.value, "prediction_task_dict")
    if model is None or code(node.slice[0]).strip("'\"") != "next-item":
        return None
    return model if answers_items(rule, model) else None


def _of_head(rule: Rule, node: cst.CSTNode | None, part: str) -> cst.BaseExpression | None:
    """The model of which a node is ``model.heads[0].part``."""
    head = node.value if isinstance(node, cst.Attribute) and node.attr.value == part else None
    heads = head.value if isinstance(head, cst.Subscript) and code(head.slice[0]) == "0" else None
    if not isinstance(heads, cst.Attribute) or heads.attr.value != "heads":
        return None
    return heads.value if is_model(rule, heads.value) else None


def _is_known(rule: Rule, heads: cst.Attribute) -> bool:
    """Whether something is taken of the heads that has a successor."""
    part = rule.parent(rule.parent(heads) or heads)
    task = rule.parent(part) if part is not None else None
    if _of_head(rule, part, "body") is not None:
        return True
    return isinstance(task, cst.Subscript) and task_of(rule, task) is not None
