"""Definitions of models of ``merlin.models.tf``, V1 and V2, as models of the core."""

from __future__ import annotations

import libcst as cst

from merlin_migrate.codemod.merlin.tf_blocks import BlocksOfTensorFlow
from merlin_migrate.codemod.merlin.tf_definitions import TF, Definitions
from merlin_migrate.codemod.merlin.tf_ranking import RankingOfTensorFlow
from merlin_migrate.codemod.merlin.tf_retrieval import RetrievalOfTensorFlow
from merlin_migrate.codemod.rule import Rule

__all__ = ["TF", "ModelsOfTensorFlow"]


class ModelsOfTensorFlow(Definitions):
    """Writes definitions in the new names.

    Args:
        rule: that asks for it.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        retrieval = RetrievalOfTensorFlow(rule)
        self.taken = retrieval.taken
        self._ways = {
            **BlocksOfTensorFlow(rule).ways(),
            **RankingOfTensorFlow(rule).ways(),
            **retrieval.ways(),
        }

    def new(self, original: cst.Call, call: cst.Call) -> cst.BaseExpression:
        """The call in the new names.

        Raises:
            ValueError: if that cannot be done; with the reason, or none where the table has it.
        """
        way = self._ways.get(str(self.name(original)))
        if way is None:
            raise ValueError("")
        return way(original, call)
