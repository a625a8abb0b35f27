"""Models as modules from tensors by name to tensors by name, which a graph can be made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from merlin_models_torch.exporting.inputs import Columns, Input
from merlin_models_torch.outputs import TwoTowerOutput
from merlin_models_torch.retrieval.candidates import tower
from merlin_models_torch.retrieval.encoder import TopKEncoder

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

ITEMS = "items"
EXCLUDE = "exclude"
CANDIDATES = "candidates"


class Graph(nn.Module):
    """What is exported.

    Args:
        columns: that the model reads.
    """

    def __init__(self, columns: Columns) -> None:
        super().__init__()
        self.columns = columns

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What :meth:`forward` takes."""
        return self.columns.inputs


class ItemGraph(Graph):
    """The k best items of each row.

    Args:
        columns: that the model reads.
        best: finds them.
        item_id: name of their column.
    """

    def __init__(self, columns: Columns, best: TopKEncoder, item_id: str) -> None:
        super().__init__(columns)
        output = best.model.output
        # Of two towers only the one of queries is registered, so that the program holds no other.
        queries = tower(best.model, output.query) if isinstance(output, TwoTowerOutput) else None
        self.part: nn.Module = best if queries is None else queries
        self._best = (best,)
        self.item_id = item_id

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The columns, items left out, and the only ones that may be answers."""
        filters = (EXCLUDE, CANDIDATES)
        return (
            *self.columns.inputs,
            *(Input(name, "filter", torch.int64, ("batch", f"{name}_count")) for name in filters),
        )

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scores (B, k) in falling order and item rows (B, k) int64; -inf and -1 where there are too few."""
        batch = self.columns.batch(dict(tensors))
        scores, items = self._best[0].search(batch, tensors[EXCLUDE], tensors[CANDIDATES])
        return {ITEMS: items, "score": scores}


class ScoreGraph(Graph):
    """The scores of each row.

    Args:
        columns: that the model reads.
        model: whose output gives scores.
    """

    def __init__(self, columns: Columns, model: Model) -> None:
        super().__init__(columns)
        self.model = model

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """(B,) by name."""
        scores = self.model.scores(self.columns.batch(dict(tensors)))
        return {name: score for name, score in scores.items() if isinstance(score, Tensor)}
