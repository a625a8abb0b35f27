"""Ranking metrics of ``merlin.models.tf`` as names and cut-offs of an output."""

from __future__ import annotations

import libcst as cst

from merlin_migrate.codemod.layout import bind, code, keyword, literal
from merlin_migrate.codemod.merlin.tf_definitions import Definitions

_NAMES = {
    "RecallAt": "recall",
    "MRRAt": "mrr",
    "NDCGAt": "ndcg",
    "AvgPrecisionAt": "map",
    "PrecisionAt": "precision",
}
_AGGREGATOR = "TopKMetricsAggregator"
_Found = list[tuple[str, int]]


class RankingMetricsOfTensorFlow(Definitions):
    """Finds names and cut-offs. An output has each of its metrics at each of its cut-offs."""

    def arguments(self, given: cst.BaseExpression) -> list[cst.Arg]:
        """``metrics=`` and ``top_ks=``, in the order that they are given in.

        Raises:
            ValueError: for what is no ranking metric with a cut-off that is written out.
        """
        found = self._all(given)
        names = dict.fromkeys(name for name, _ in found)
        cuts = dict.fromkeys(cut for _, cut in found)
        if not found:
            raise ValueError("metrics= is empty: give the output the names of its metrics")
        listed = [cst.Element(cst.SimpleString(f'"{name}"')) for name in names]
        numbers = [cst.Element(cst.Integer(str(cut))) for cut in cuts]
        return [keyword("metrics", cst.List(listed)), keyword("top_ks", cst.List(numbers))]

    def _all(self, given: cst.BaseExpression) -> _Found:
        made = self.rule.origin(given)
        if isinstance(made, (cst.List, cst.Tuple)):
            return [pair for element in made.elements for pair in self._all(element.value)]
        if not isinstance(made, cst.Call):
            raise self._refused(given)
        name = str(self.name(made))
        if name.endswith(f"{_AGGREGATOR}.default_metrics"):
            bound = bind(made, ("top_ks",))
            cuts = self._numbers(bound["top_ks"].value) if bound and set(bound) == {"top_ks"} else None
            if not cuts:
                raise self._refused(given)
            return [(metric, cut) for cut in cuts for metric in _NAMES.values()]
        last = name.rpartition(".")[2]
        if last == _AGGREGATOR and not any(arg.keyword or arg.star for arg in made.args):
            return [pair for arg in made.args for pair in self._all(arg.value)]
        bound = bind(made, ("k",))
        if last not in _NAMES or bound is None or set(bound) - {"k"}:
            raise self._refused(given)
        cuts = self._numbers(bound["k"].value) if "k" in bound else [10]
        if not cuts:
            raise self._refused(given)
        return [(_NAMES[last], cuts[0])]

    def _numbers(self, node: cst.BaseExpression) -> list[int]:
        """A number, or numbers, that are written out."""
        made = self.rule.origin(node)
        try:
            value = literal(made)
        except ValueError:
            return []
        values = value if isinstance(value, (list, tuple)) else [value]
        return [one for one in values if isinstance(one, int)]

    @staticmethod
    def _refused(node: cst.BaseExpression) -> ValueError:
        return ValueError(
            f'the metric {code(node)} cannot be followed: an output takes names, metrics=["recall", "ndcg"], '
            "and cut-offs, top_ks=[10, 20]"
        )
