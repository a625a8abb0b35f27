"""Programs for ``merlin.models.tf``: definitions of models are rewritten, Keras training is marked."""

from __future__ import annotations

from typing import ClassVar

import libcst as cst

from merlin_migrate.codemod.layout import code, fit
from merlin_migrate.codemod.merlin.tensorflow import ModelsOfTensorFlow
from merlin_migrate.codemod.rule import Program, Rule

_KERAS = {
    "compile": "give optimizer= to the model",
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

    def visit_Module(self, node: cst.Module) -> bool:
        """Finds the towers and samplers that a model's own call takes up, or that stay with it."""
        calls = [call for call in self.calls() if self._models.name(call)]
        failed = [call for call in calls if not self._can(call)]
        self._parts = {inner for call in failed for inner in calls if self._inside(inner, call)}
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
        return fit(made, column=self.column(original_node), block=self.depth(original_node))

    def _mark_keras(self, call: cst.Call) -> None:
        func = call.func
        if not isinstance(func, cst.Attribute) or func.attr.value not in _KERAS:
            return
        made = self.origin(func.value) if isinstance(func.value, cst.Name) else None
        if self._models.name(made) is not None:
            self.mark(f"{code(func)} was Keras: {_KERAS[func.attr.value]}", "training-and-data")
