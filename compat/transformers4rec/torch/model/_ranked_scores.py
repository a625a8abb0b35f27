"""Scores of evaluation of which only the loss and the best items are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from merlin_models_torch._products import in_lines, takes_one_dnn
from merlin_models_torch._recording import is_recorded
from transformers4rec.torch._outputs import Deferred
from transformers4rec.torch.block.base import Block
from transformers4rec.torch.model._item_scores import _NextItemPredictionTask
from transformers4rec.torch.model._reader import watched
from transformers4rec.torch.ranking_metric import best_items

# Scores made at a time: what the ranking and the loss read again is still near the processor then.
_SCORES = 2**22

_WANTED: ContextVar[int] = ContextVar("best items wanted", default=0)


@contextmanager
def only_best_wanted(k: int) -> Iterator[None]:
    """Inside, whoever calls a model wants loss, labels and the best ``k`` items of evaluation; 0 for all."""
    token = _WANTED.set(k)
    try:
        yield
    finally:
        _WANTED.reset(token)


def best_wanted() -> int:
    """How many items of each row are wanted; 0 if all scores are."""
    return _WANTED.get()


class RankedScores(Deferred):
    """Scores (N, V) of all items, ranked some rows at a time, made as a whole only if somebody reads them.

    Args:
        block: gives scores (n, V), and targets, of (n, D) vectors.
        x: (N, D).
        labels: (N,) int64.
        k: best items of each row.
        label_smoothing: of the loss.

    Attributes:
        best: scores (N, k) and items (N, k), best first.
        loss: () the mean cross entropy.

    Raises:
        IndexError: if a label is no item, as torch's cross entropy.
    """

    def __init__(self, block: Any, x: Tensor, labels: Tensor, *, k: int, label_smoothing: float) -> None:
        super().__init__(lambda: block(x)[0])
        self._smoothing = label_smoothing
        items = block.module.weight.shape[0]
        if int(labels.min()) < 0 or int(labels.max()) >= items:
            raise IndexError(
                f"a label is {int(labels.min())} or {int(labels.max())}, but the items are 0 to {items - 1}: "
                "raise the domain of the item column in the schema"
            )
        rows = max(_SCORES // items, 1)
        best, losses = [], []
        # One piece of memory for all rows: fresh pages would cost as much as the products.
        again = in_lines(x, min(rows, len(x)), items) if _is_known(block, x) else None
        for some, targets in zip(x.split(rows), labels.split(rows), strict=True):
            if again is None:
                scores = block(some)[0]
            else:
                scores = again[: len(some)]
                block.module.put_scores(scores, some)
            best.append(best_items(scores, k))
            losses.append(self._losses(scores, targets, best[-1][0][:, :1]))
        values, found = zip(*best, strict=True)
        self.best = torch.cat(values), torch.cat(found)
        self.loss = torch.cat(losses).mean()

    def _losses(self, scores: Tensor, targets: Tensor, largest: Tensor) -> Tensor:
        """(n,) cross entropies; writes over the scores."""
        scores, largest = scores.float(), largest.float()  # narrow ones under autocast
        certain = scores.gather(1, targets[:, None])
        if self._smoothing:
            even = scores.mean(1, keepdim=True)
            certain = certain * (1 - self._smoothing) + even * self._smoothing
        log_sum = scores.sub_(largest).exp_().sum(1, keepdim=True).log_() + largest
        return (log_sum - certain).squeeze(1)


def best_of(block: Any, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Scores (N, k) and items (N, k) of the best; without gradients some rows at a time.

    Args:
        block: gives scores (n, V) of (n, D) vectors.
        x: (N, D).
        k: best items of each row.
    """
    module = getattr(block, "module", None)
    if torch.is_grad_enabled() or is_recorded() or type(module) is not _NextItemPredictionTask:
        return best_items(block(x)[0], k)
    if any(map(watched, block.modules())):
        return best_items(block(x)[0], k)
    rows = max(_SCORES // module.weight.shape[0], 1)
    values, items = zip(*(best_items(block(some)[0], k) for some in x.split(rows)), strict=True)
    return (values[0], items[0]) if len(values) == 1 else (torch.cat(values), torch.cat(items))


def _is_known(block: Any, x: Tensor) -> bool:
    """Whether a block's scores are products of x and its matrix, by torch, that nothing else looks at."""
    if type(block) is not Block or type(block.module) is not _NextItemPredictionTask:
        return False
    if any(map(watched, block.modules())) or torch.is_autocast_enabled(x.device.type):
        return False
    weight = block.module.weight.detach()
    plain = type(weight) is type(x) is Tensor and weight.dtype is x.dtype
    return plain and not takes_one_dnn(x, weight.t())
