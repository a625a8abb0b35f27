"""Models as modules from tensors by name to tensors by name, which a graph can be made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.exporting.index import GraphIndex, TopK, exact_order
from merlin_models_torch.exporting.inputs import Columns, Input, length_name
from merlin_models_torch.outputs import CategoricalOutput, TabularOutputBlock, TwoTowerOutput
from merlin_models_torch.outputs.seen import seen_items
from merlin_models_torch.outputs.target import TargetOutput
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
    def left_out(self) -> str | None:
        """The column of the session's items, if these are no answers."""
        best = self._best[0]
        return best.model.inputs.item_id if best.exclude_seen else None

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
        k: items to answer with, where items are among several targets; each output's largest cut-off if not
            given.
        exclude_seen: leave out items of the session there.
        order: takes the best of the scores of items.

    Raises:
        ValueError: if there are fewer items than k.
    """

    def __init__(
        self,
        columns: Columns,
        model: Model,
        *,
        k: int | None = None,
        exclude_seen: bool = False,
        order: TopK = exact_order,
    ) -> None:
        super().__init__(columns)
        self.model = model
        self.exclude_seen = exclude_seen
        output: Any = model.output
        several = isinstance(output, TabularOutputBlock)
        self._outputs: dict[str | None, Any] = {**output.outputs} if several else {None: output}
        self._indexes: dict[str | None, tuple[GraphIndex, list[int], int]] = {}
        never = model._never()
        for name, one in self._outputs.items():
            if isinstance(one, CategoricalOutput):
                count = k or max(one.top_ks)
                model.check_answers("k", count, output=one)
                with torch.no_grad():
                    index = GraphIndex(
                        one.item_vectors,
                        bias=one.bias,
                        temperature=one.temperature,
                        order=order,
                        model=model,
                    )
                left_out = never[str(name)] if isinstance(never, Mapping) else never
                self._indexes[name] = index, sorted({*one.exclude, *left_out}), count

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """(B,) by name; (B, K) items and scores; (B, T) scores of positions, with (B,) lengths."""
        batch = self.columns.batch(dict(tensors))
        planned = self.model.for_prediction(batch)
        hidden = self.model.body(planned)
        found: dict[str, Tensor] = {}
        for name, output in self._outputs.items():
            own = hidden if isinstance(hidden, Tensor) or name is None else hidden[name]
            if name in self._indexes:
                index, never, k = self._indexes[name]
                seen = self._seen(batch, planned) if output.answers_inputs else None
                scores, items = index.topk(output.queries(own, planned), k=k, exclude=seen, never=never)
                # The column's own name is that of an input.
                found |= {f"{output.item_id}_{ITEMS}": items, f"{output.item_id}_score": scores}
            elif isinstance(output, TargetOutput):
                for column, (matrix, lengths) in output.matrices(own, planned).items():
                    found[column] = matrix
                    if lengths is not None:
                        found[length_name(column)] = lengths
            else:
                columns = output.predictions(own, planned)
                found |= {column: score for column, score in columns.items() if isinstance(score, Tensor)}
        return found

    def _seen(self, batch: Batch, planned: Batch) -> Tensor | None:
        item_id = self.model.inputs.item_id
        if not self.exclude_seen or item_id is None or planned.plan is None:
            return None
        return seen_items(batch, planned, item_id)
