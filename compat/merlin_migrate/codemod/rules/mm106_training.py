"""``T4RecTrainingArguments`` and ``Trainer`` to ``lightning.Trainer``, with its idiom of time windows."""

from __future__ import annotations

from typing import ClassVar, TypeVar

import libcst as cst

from merlin_migrate.codemod.training.looking import PlanOfTraining
from merlin_migrate.codemod.tree import walk

WIPE_MEMORY = "transformers4rec.torch.utils.examples_utils.wipe_memory"
WEIGHTS = "pytorch_model.bin"

Text = TypeVar("Text", cst.SimpleString, cst.FormattedStringText)


class TrainingRule(PlanOfTraining):
    """A trainer that is kept in a variable, with its arguments, and the statements that use it."""

    number: ClassVar[str] = "MM106"
    title: ClassVar[str] = "training"

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """``trainer.evaluate()`` within an expression, and ``wipe_memory()``."""
        if self.is_call_of(original_node, WIPE_MEMORY) and not original_node.args:
            self.done()
            self.program.imports.add("gc")
            return cst.parse_expression("gc.collect()")
        if self.qualified(original_node.func) == "torch.load" and self.program.checkpoints:
            return self._loaded(original_node, updated_node)
        make = self._calls.get(original_node)
        if make is None:
            return updated_node
        self.done()
        return make()

    def _loaded(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        """``torch.load`` of a file with weights that the old trainer wrote: Lightning's has them inside."""
        named = [node for arg in original.args for node in walk(arg.value)]
        named += [
            node for name in named if isinstance(name, cst.Name) for node in walk(self.origin(name) or name)
        ]
        if not any(_is_weights(node) for node in named):
            return call
        self.done()
        weights = cst.SubscriptElement(cst.Index(cst.SimpleString('"state_dict"')))
        return cst.Subscript(call, [weights])

    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.BaseExpression:
        """The name of the file with weights in a checkpoint."""
        return self._file(updated_node)

    def leave_FormattedStringText(
        self, original_node: cst.FormattedStringText, updated_node: cst.FormattedStringText
    ) -> cst.BaseFormattedStringContent:
        """The same in a string that is put together."""
        return self._file(updated_node)

    def _file(self, node: Text) -> Text:
        if not self.program.checkpoints or not _is_weights(node):
            return node
        self.done()
        return node.with_changes(value=node.value.replace(WEIGHTS, "pytorch_model.ckpt"))

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """``predictions`` of an answer."""
        make = self._attributes.get(original_node)
        return updated_node if make is None else make()

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        """One statement that has an edit or a mark."""
        for reason in self._reasons.get(original_node, ()):
            self.mark(reason, "training")
        edit = self._edits.get(original_node)
        if edit is None:
            return updated_node
        self.done()
        first, *rest = edit(updated_node)
        return cst.FlattenSentinel([first, *rest]) if rest else first

    def leave_For(self, original_node: cst.For, updated_node: cst.For) -> cst.BaseStatement:
        """Marks in the head of a loop."""
        return self._headed(original_node, updated_node)

    def leave_If(self, original_node: cst.If, updated_node: cst.If) -> cst.BaseStatement:
        """Marks in the head of a condition."""
        return self._headed(original_node, updated_node)

    def leave_With(self, original_node: cst.With, updated_node: cst.With) -> cst.BaseStatement:
        """Marks in the head of a with statement."""
        return self._headed(original_node, updated_node)

    def _headed(self, original: cst.CSTNode, updated: cst.BaseStatement) -> cst.BaseStatement:
        for reason in self._reasons.get(original, ()):
            self.mark(reason, "training")
        return updated


def _is_weights(node: cst.CSTNode) -> bool:
    """Whether a node is the path of a file with weights, or its end."""
    if not isinstance(node, (cst.SimpleString, cst.FormattedStringText)):
        return False
    return node.value.strip("'\"").endswith(WEIGHTS)
