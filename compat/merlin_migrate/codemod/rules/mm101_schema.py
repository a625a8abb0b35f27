"""Schemas: one class, one ``load``."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, renamed, with_args
from merlin_migrate.codemod.program import Program
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

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._renamed: set[cst.CSTNode | None] = set()

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """``Dataset(path).schema``, and ``merlin.schema.Schema`` written out."""
        dataset = original_node.value
        if original_node.attr.value == "schema" and self._is_file(dataset):
            self.done()
            return self._load(updated_node.value)
        if original_node.attr.value == "schema" and self.assignment(dataset) in self._renamed:
            return updated_node.value
        return self._class(original_node) or updated_node

    def visit_Module(self, node: cst.Module) -> bool:
        """Finds data sets in variables that are used for nothing but their schema."""
        if self.program.stays:
            return False
        for call in filter(self._is_file, self.calls()):
            assign = self.parent(call)
            name = assign.targets[0].target if isinstance(assign, cst.Assign) else None
            if not isinstance(name, cst.Name) or self.assignment(name) is not assign:
                continue
            above = [self.parent(use) for use in self.uses(name)]
            if all(isinstance(x, cst.Attribute) and x.attr.value == "schema" for x in above):
                self._renamed.add(assign)
        return True

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.Assign:
        """Such a variable holds the schema itself."""
        if original_node not in self._renamed:
            return updated_node
        self.done()
        return updated_node.with_changes(value=self._load(updated_node.value))

    def _is_file(self, node: cst.CSTNode) -> bool:
        """Whether the node is a data set made from one path."""
        if not isinstance(node, cst.Call) or not self.is_call_of(node, "merlin.io.Dataset"):
            return False
        bound = bind(node, ("path_or_source", "engine"))
        if bound is None or not {"path_or_source"} <= set(bound) <= {"path_or_source", "engine"}:
            return False
        return not isinstance(bound["path_or_source"].value, (cst.List, cst.Tuple))

    def _load(self, call: cst.BaseExpression) -> cst.Call:
        """``mm.Schema.load`` of the path that a data set was made from."""
        if not isinstance(call, cst.Call):
            raise TypeError(f"{code(call)} is not the call of a data set")
        bound = bind(call, ("path_or_source", "engine")) or {}
        load = call.with_changes(func=cst.Attribute(self.api("Schema"), cst.Name("load")))
        return with_args(load, [renamed(bound["path_or_source"], None)])

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
