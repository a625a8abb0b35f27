"""Programs for ``merlin.models.tf``: definitions of models are rewritten, Keras training is marked."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import code, fit
from merlin_migrate.codemod.merlin.tensorflow import TF, ModelsOfTensorFlow
from merlin_migrate.codemod.merlin.uses import alias_of, moved_alias, uses
from merlin_migrate.codemod.program import Program
from merlin_migrate.codemod.rule import Rule

_KERAS = {
    "compile": "give optimizer= to the model, metrics= and top_ks= to its output",
    "fit": "lightning.Trainer(max_epochs=...).fit(model, mm.ParquetLoader(data, schema, batch_size=..., "
    "shuffle=True))",
    "evaluate": "trainer.validate(model, loader)",
    "predict": "model.predict(data) gives a table",
    "batch_predict": "model.predict(data) gives a table",
    "to_top_k_recommender": "model.predict(data, k=...)",
    "save": "model.save(folder), which mm.load(folder) reads; weights of TensorFlow are not taken over",
}


class MerlinTensorFlowRule(Rule):
    """A definition moves on its own: what trains it has to be written anew in any case."""

    number: ClassVar[str] = "MM203"
    title: ClassVar[str] = "merlin.models.tf"
    guide: ClassVar[str] = "from-merlin-models-tensorflow.md"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._models = ModelsOfTensorFlow(self)
        self._parts: set[cst.CSTNode] = set()
        # Whether nothing of the old package is left, so that its name is the new one's.
        self._all = False

    def visit_Module(self, node: cst.Module) -> bool:
        """Finds the towers and samplers that a model's own call takes up, or that stay with it."""
        calls = [call for call in self.calls() if self._models.name(call)]
        imports = set(self.program.imports)
        failed = [call for call in calls if not self._can(call)]
        failed = [call for call in failed if call not in self._models.taken]
        self._parts = {inner for call in failed for inner in calls if self._inside(inner, call)}
        self.program.imports = imports
        named = {use for use, _ in uses(self, node, (f"{TF}.",))}
        done = [call for call in calls if call not in failed]
        left = [call for call in failed if not any(self._inside(call, other) for other in done)]
        self._all = bool(calls) and not left and named <= {call.func for call in calls}
        self._all = self._all and alias_of(node, TF) == "mm"
        if self._all:
            self.program.alias = "mm"
        return bool(calls)

    def _can(self, call: cst.Call) -> bool:
        try:
            self._models.new(call, call)
        except ValueError:
            return False
        return True

    def _inside(self, node: cst.CSTNode, outer: cst.CSTNode) -> bool:
        above = self.parent(node)
        while above is not None and above is not outer:
            above = self.parent(above)
        return above is outer

    def leave_ImportAlias(
        self, original_node: cst.ImportAlias, updated_node: cst.ImportAlias
    ) -> cst.ImportAlias:
        """``import merlin.models.tf as mm``."""
        return moved_alias(self, original_node, updated_node, TF) if self._all else updated_node

    def visit_SimpleStatementLine(self, node: cst.SimpleStatementLine) -> bool:
        """Stays out of what goes away."""
        return not self._goes(node)

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement:
        """Encoders in variables, which a model has taken up."""
        return self.dropped(updated_node) if self._goes(original_node) else updated_node

    def _goes(self, line: cst.SimpleStatementLine) -> bool:
        small = line.body[0] if len(line.body) == 1 else None
        return isinstance(small, cst.Assign) and small.value in self._models.taken

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        """One definition, or one step of Keras training."""
        self._mark_keras(original_node)
        if self._models.name(original_node) is None or original_node in self._parts:
            return updated_node
        try:
            made = self._models.new(original_node, updated_node)
        except ValueError as error:
            if str(error):
                self.mark(str(error), "models")
            return updated_node
        self.done()
        within = self.within(original_node)
        return fit(made, column=self.column(original_node), indent=within, block=self.depth(original_node))

    def _mark_keras(self, call: cst.Call) -> None:
        func = call.func
        if not isinstance(func, cst.Attribute) or func.attr.value not in _KERAS:
            return
        made = self.origin(func.value) if isinstance(func.value, cst.Name) else None
        if self._models.name(made) is not None:
            self.mark(f"{code(func)} was Keras: {_KERAS[func.attr.value]}", "training-and-data")
