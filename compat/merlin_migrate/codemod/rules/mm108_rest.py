"""Legacy names that are left: annotations are renamed, everything else is marked."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import code
from merlin_migrate.codemod.rule import LEGACY_ROOTS, Rule
from merlin_migrate.codemod.star import names_of
from merlin_migrate.table import entries, find
from merlin_migrate.table.entry import GUIDES

TR = "transformers4rec.torch"
ANNOTATIONS = {
    f"{TR}.Model": "Model",
    f"{TR}.TabularSequenceFeatures": "TabularInputBlock",
    f"{TR}.SequentialBlock": "Block",
    f"{TR}.MLPBlock": "MLPBlock",
    f"{TR}.XLNetConfig": "XLNetBlock",
    f"{TR}.TransformerBlock": "XLNetBlock",
    f"{TR}.NextItemPredictionTask": "CategoricalOutput",
}

FILES = {
    "t4rec_model_class.pkl": (
        "is a pickle, which is not loaded: convert it, mm.load(folder) reads what becomes of it and what "
        "model.save(folder) wrote",
        "pickled-models",
    ),
    "pytorch_model.bin": (
        "has weights under their old names: merlin-migrate checkpoint converts it, mm.load(folder) "
        "reads what becomes of it",
        "the-shortest-way",
    ),
}
"""What becomes of files that the old library wrote: why, and where that is told."""
OWN = {f"{TR}.Trainer", "transformers4rec.config.trainer.T4RecTrainingArguments"}


class RestRule(Rule):
    """What no rule before this one took."""

    number: ClassVar[str] = "MM108"
    title: ClassVar[str] = "other names"

    def visit_Import(self, node: cst.Import) -> bool:
        """Imports are the last rule's."""
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        """Imports are the last rule's, but a star hides names."""
        star = isinstance(node.names, cst.ImportStar) and node.module is not None and not node.relative
        if star and (names_of(node) or code(node.module).partition(".")[0] in LEGACY_ROOTS[:2]):  # type: ignore[arg-type]
            self.mark("names of a star import cannot be followed: import them by name", "imports")
        return False

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """A name below a module."""
        return self._rest(original_node) or updated_node

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        """An imported name."""
        return self._rest(original_node) or updated_node

    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.BaseExpression:
        """A file of the old library that the program names."""
        self._file(original_node.value)
        return updated_node

    def leave_FormattedStringText(
        self, original_node: cst.FormattedStringText, updated_node: cst.FormattedStringText
    ) -> cst.BaseFormattedStringContent:
        """The same at the end of a string that is put together."""
        self._file(original_node.value)
        return updated_node

    def _file(self, text: str) -> None:
        for name, (reason, anchor) in FILES.items():
            if text.strip("'\"").endswith(name):
                self.mark(f"{name} {reason}", link=f"{GUIDES}/checkpoints.md#{anchor}")

    def _rest(self, node: cst.Attribute | cst.Name) -> cst.BaseExpression | None:
        parent = self.parent(node)
        # The longest dotted name is the one to judge; in a chain the inner nodes are parts of it.
        if isinstance(parent, cst.Attribute) and (parent.attr is node or self.qualified(parent)):
            return None
        root: cst.BaseExpression = node
        while isinstance(root, cst.Attribute):
            root = root.value
        if not isinstance(root, cst.Name):
            return None
        name = self.qualified(node)
        if name is None or name.partition(".")[0] not in LEGACY_ROOTS:
            return None
        entry = self.entry(node)
        if entry is None:
            if any(known.name.startswith(f"{name}.") for known in entries()):
                self.mark(
                    f"the module {name} is used as a whole: its names have successors, one by one", "imports"
                )
            elif not name.startswith("merlin."):
                self.mark(f"{name} is not known to the table of names", "not-yet")
            return None
        if entry.name in ANNOTATIONS and self._in_annotation(node):
            self.done()
            return self.api(ANNOTATIONS[entry.name])
        if entry.name == f"{TR}.Trainer" and self._in_annotation(node):
            self.done()
            self.program.imports.add("lightning")
            return cst.parse_expression("lightning.Trainer")
        if self._is_base(node) and entry.name in OWN:
            return None
        if name.rpartition(".")[2].isupper() and find(name) is None:
            # The members of an enumeration have one successor: that of their class.
            name = name.rpartition(".")[0]
        details = entry.details.rpartition(". See ")[0] or "no successor yet"
        self.mark(f"{name}: {details}.", link=entry.link)
        return None

    def _is_base(self, node: cst.CSTNode) -> bool:
        """Whether the name is a base class: the rule of own trainers says what becomes of each method."""
        arg = self.parent(node)
        return isinstance(arg, cst.Arg) and isinstance(self.parent(arg), cst.ClassDef)

    def _in_annotation(self, node: cst.CSTNode) -> bool:
        above = self.parent(node)
        while above is not None and not isinstance(above, (cst.BaseStatement, cst.Call)):
            if isinstance(above, cst.Annotation):
                return True
            above = self.parent(above)
        return False
