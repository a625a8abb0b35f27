"""The best items by the plain formula, without a branch on values: what a graph can hold."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

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

    Items that are a parameter of the model, such as a tied table, are read from there, so that a graph of
    both holds them once. Others stand in the graph by themselves: vectors of length 1, which made anew for
    each request would take longer than the search, those of some candidates, and what a tower gives.

    Args:
        items: (V, D) float.
        bias: (V,) float added to the dot products.
        temperature: divides the scores.
        order: takes the best of the scores.
        model: the module that a graph is made of.
    """

    def __init__(
        self,
        items: Tensor,
        *,
        bias: Tensor | None = None,
        temperature: float = 1.0,
        order: TopK = exact_order,
        model: nn.Module | None = None,
    ) -> None:
        self._items = _reader(items, model)
        self._bias = None if bias is None else _reader(bias, model)
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
        items = self._items()
        scores = queries @ items.T
        if self._bias is not None:
            scores = scores + self._bias()
        scores = scores / self.temperature
        catalogue = items.shape[0]
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


def _reader(tensor: Tensor, model: nn.Module | None) -> Callable[[], Tensor]:
    """Gives a parameter of a model as the model has it when asked, which a trace needs; a copy of others."""
    for module in () if model is None else model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter is tensor:
                return functools.partial(getattr, module, name)
    copy = tensor.detach().clone()
    return lambda: copy


def _marked(rows: Tensor, catalogue: int) -> Tensor:
    """(B, V) bool: whether each item is among (B, E) rows, of which those outside are none."""
    marks = torch.zeros(rows.shape[0], catalogue + 1, dtype=torch.float32, device=rows.device)
    inside = (rows >= 0) & (rows < catalogue)
    # What is no row marks the column after the last.
    marks = marks.scatter(1, torch.where(inside, rows, catalogue), 1.0)
    return marks[:, :catalogue] > 0
