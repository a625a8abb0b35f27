"""Ranking models of ``merlin.models.tf``, and models of blocks."""

from __future__ import annotations

import libcst as cst

from merlin_migrate.codemod.layout import keyword, with_args
from merlin_migrate.codemod.merlin.builders import ADAM, dcn, dlrm
from merlin_migrate.codemod.merlin.tf_definitions import OF_SCHEMA, TASKS, Definitions, Way
from merlin_migrate.codemod.merlin.towers import plain_units

DLRM = (
    *("schema", "embeddings", "embedding_dim", "embedding_options", "bottom_block", "top_block"),
    "prediction_tasks",
)
DCN = ("schema", "depth", "deep_block", "stacked", "input_block", "prediction_tasks")


class RankingOfTensorFlow(Definitions):
    """Writes models that say how likely something is."""

    def ways(self) -> dict[str, Way]:
        """By name of the old class."""
        return {
            "DLRMModel": self._dlrm,
            "DCNModel": self._dcn,
            "DeepFMModel": self._deepfm,
            "Model": self._model,
        }

    def _dlrm(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        before, after = self.bound(original, DLRM), self.bound(call, DLRM)
        self.refused(before, "embeddings", "embedding_options")
        return self.built("DLRMModel", call, after, dlrm(before, self.tower_of, width="embedding_dim"))

    def _dcn(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        before, after = self.bound(original, DCN), self.bound(call, DCN)
        self.refused(before, "input_block")
        widths = keyword("embedding_dim", cst.SimpleString('"infer"'))
        return self.built("DCNModel", call, after, [widths, *dcn(before, self.tower_of)])

    def _deepfm(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        names = ("schema", "embedding_dim", "deep_block")
        before = self.bound(original, names, "prediction_tasks")
        after = self.bound(call, names, "prediction_tasks")
        if "deep_block" not in before or "embedding_dim" not in before:
            raise ValueError("DeepFMModel is followed with embedding_dim and deep_block")
        units, dropout = plain_units(self.tower_of(before["deep_block"].value), "the deep tower")
        own = [keyword("embedding_dim", after["embedding_dim"].value), keyword("deep", units)]
        own += [] if dropout is None else [keyword("dropout", dropout)]
        if "prediction_tasks" in after:
            # The parts of the model are added up to the number of its one output.
            task = after["prediction_tasks"].value
            if self.name(before["prediction_tasks"].value) not in TASKS or not isinstance(task, cst.Call):
                raise ValueError("DeepFMModel is followed with one task that is written in the call")
            task = with_args(task, [*task.args, keyword("project", cst.Name("False"))])
            after = {**after, "prediction_tasks": after["prediction_tasks"].with_changes(value=task)}
        return self.built("DeepFMModel", call, after, own)

    def _model(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        last = self.name(self.rule.origin(original.args[-1].value)) if original.args else None
        if any(arg.keyword or arg.star for arg in call.args) or last not in (*TASKS, *OF_SCHEMA):
            raise ValueError("a Model is followed with blocks, the last of them tasks or outputs")
        return self.written("Model", call, [*call.args, keyword("optimizer", self.rule.new(ADAM))])
