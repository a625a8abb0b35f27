"""Schemas: one class, one ``load``."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import with_args
from merlin_migrate.codemod.rule import Rule

SCHEMAS = ("merlin.schema.Schema", "merlin_standard_lib.Schema", "transformers4rec.torch.Schema")
NAMES = {
    **dict.fromkeys(SCHEMAS, "Schema"),
    "merlin.schema.ColumnSchema": "ColumnSchema",
    "merlin_standard_lib.ColumnSchema": "ColumnSchema",
    "merlin.schema.Tags": "Tags",
    "merlin_standard_lib.Tag": "Tags",
}
READERS = {"load", "from_json", "from_proto_text", "from_pbtxt"}


class SchemaRule(Rule):
    """``Dataset(path).schema`` and the readers of ``Schema`` become ``mm.Schema.load(path)``."""

    number: ClassVar[str] = "MM101"
    title: ClassVar[str] = "schemas"

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """``Dataset(path).schema``, and ``merlin.schema.Schema`` written out."""
        dataset = original_node.value
        if original_node.attr.value == "schema" and self.is_call_of(dataset, "merlin.io.Dataset"):
            call = updated_node.value
            if isinstance(call, cst.Call) and len(call.args) == 1 and not call.args[0].star:
                self.done()
                return call.with_changes(func=cst.Attribute(self.api("Schema"), cst.Name("load")))
        return self._class(original_node) or updated_node

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        """``Schema``, imported."""
        return self._class(original_node) or updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """``Schema().from_json(path)`` and the like."""
        func = original_node.func
        if (
            not isinstance(func, cst.Attribute)
            or func.attr.value not in READERS
            or len(original_node.args) != 1
        ):
            return updated_node
        owner = func.value.func if isinstance(func.value, cst.Call) and not func.value.args else func.value
        entry = self.entry(owner)
        if entry is None or entry.name not in SCHEMAS:
            return updated_node
        self.done()
        load = updated_node.with_changes(func=cst.Attribute(self.api("Schema"), cst.Name("load")))
        return with_args(
            load, [updated_node.args[0].with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT)]
        )

    def visit_Import(self, node: cst.Import) -> bool:
        """Names in imports stay until the last rule."""
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        """Names in imports stay until the last rule."""
        return False

    def _class(self, node: cst.BaseExpression) -> cst.BaseExpression | None:
        name = self.qualified(node)
        entry = self.entry(node)
        if entry is None or entry.name not in NAMES or name not in (entry.name, *entry.also):
            return None
        parent = self.parent(node)
        if isinstance(parent, cst.Attribute) and parent.attr is node:
            return None
        self.done()
        return self.api(NAMES[entry.name])
