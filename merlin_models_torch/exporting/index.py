"""The best items by the plain formula, without a branch on values: what a graph can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from merlin_models_torch.retrieval.topk import topk_of_scores

TopK = Callable[[Tensor, int], tuple[Tensor, Tensor]]
"""Values (B, k) in falling order and columns (B, k) of (B, V) scores, equal ones in order of column."""


def exact_order(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The order of :func:`topk_of_scores`."""
    return topk_of_scores(scores, k=k)


def order_of_onnx(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """One operator, for which ONNX, other than torch, says that equal scores come in order of column."""
    values, columns = scores.topk(k, 1)
    return values, columns


class GraphIndex:
    """Finds the best items of a catalogue; see :class:`retrieval.ItemIndex`, whose answers these are.

    Args:
        items: (V, D) float.
        bias: (V,) float added to the dot products.
        temperature: divides the scores.
        order: takes the best of the scores.
    """

    def __init__(
        self,
        items: Tensor,
        *,
        bias: Tensor | None = None,
        temperature: float = 1.0,
        order: TopK = exact_order,
    ) -> None:
        self.items = items.detach().clone()
        self.bias = None if bias is None else bias.detach().clone()
        self.temperature = temperature
        self.order = order

    def topk(
        self,
        queries: Tensor,
        *,
        k: int,
        exclude: Tensor | None = None,
        never: Sequence[int] = (),
        candidates: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The k best items of each query, as :meth:`ItemIndex.topk` gives them; rows outside are no error."""
        scores = queries @ self.items.T
        if self.bias is not None:
            scores = scores + self.bias
        scores = scores / self.temperature
        catalogue = self.items.shape[0]
        banned = torch.zeros(catalogue, dtype=torch.bool)
        banned[list(never)] = True
        left_out = banned.to(scores.device).expand_as(scores)
        if exclude is not None:
            left_out = left_out | _marked(exclude, catalogue)
        if candidates is not None:
            free = (candidates < 0).all(1)[:, None]
            left_out = left_out | ~(free | _marked(candidates, catalogue))
        scores = torch.where(left_out, -torch.inf, scores)
        best, rows = self.order(scores, k)
        return best, torch.where(best == -torch.inf, -1, rows)


def _marked(rows: Tensor, catalogue: int) -> Tensor:
    """(B, V) bool: whether each item is among (B, E) rows, of which those outside are none."""
    marks = torch.zeros(rows.shape[0], catalogue + 1, dtype=torch.float32, device=rows.device)
    inside = (rows >= 0) & (rows < catalogue)
    # What is no row marks the column after the last.
    marks = marks.scatter(1, torch.where(inside, rows, catalogue), 1.0)
    return marks[:, :catalogue] > 0
