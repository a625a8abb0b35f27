"""Permuted masking: items are predicted in a random order, each from those before it in that order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from merlin_models_torch.masking.plan import MaskPlan, Mode, positions


@dataclass(frozen=True)
class PermutedMasking:
    """Permutation language modelling (Yang et al. 2019, XLNet, equations 3 and 5).

    In training some items are targets. Each sees all items that are no targets, and the targets before it in
    a random order. The target itself is not hidden from those after it, so that a body needs two streams:
    ``XLNetBlock(..., two_streams=True)``.

    In evaluation the last item is the only target; in prediction a place after the last item is. So
    evaluation of a session equals prediction on the session without its last item.

    Args:
        targets: "spans" of neighbouring items, each of 1 to ``max_span_length`` with equal chances, lie
            scattered so that about ``probability`` of the items are in one; with "all" every item is a target
            but the first of the order, which none could be predicted from.
        probability: share of the items in spans, in (0, 1). Short sessions have more: at least one item of a
            session that has two is a target, and at least one is not.
        max_span_length: items of the longest span.
        attend_to_padding: (legacy) padded positions are visible to all others.
        hide_targets: (legacy) targets are replaced by the mask vector in training, so that those after them
            in the order see that they were hidden, not what they are.
        look_back: (legacy) in evaluation and prediction positions see only themselves and earlier ones.
        predict_last: (legacy) prediction hides the last item and answers for it, as evaluation does.
        evaluate_single: (legacy) evaluation also predicts the item of a session that has no other.

    Raises:
        ValueError: if a choice is unknown or a number out of its range.

    Example:
        >>> plan = PermutedMasking(targets="all").train(torch.tensor([[5, 6, 7]]), torch.tensor([3]))
        >>> plan.targeted.sum().item(), plan.visible().sum().item()
        (2, 3)
    """

    targets: Literal["spans", "all"] = "spans"
    probability: float = 1 / 6
    max_span_length: int = 5
    attend_to_padding: bool = False
    hide_targets: bool = False
    look_back: bool = False
    predict_last: bool = False
    evaluate_single: bool = False

    def __post_init__(self) -> None:
        if self.targets not in ("spans", "all"):
            raise ValueError(f"targets is {self.targets!r}, expected one of ['spans', 'all']")
        if not 0 < self.probability < 1:
            raise ValueError(f"probability must be between 0 and 1, got {self.probability}")
        if self.max_span_length < 1:
            raise ValueError(f"max_span_length is {self.max_span_length}, expected at least 1")

    def window(self, mode: Mode, length: int) -> int:
        """One item more than is visible in evaluation, whose last one is hidden."""
        return length + 1 if mode == "evaluate" else length

    def train(self, ids: Tensor, lengths: Tensor, *, generator: torch.Generator | None = None) -> MaskPlan:
        """Random positions predict their own item in a random order.

        Args:
            ids: (B, T) int64, padded on the right.
            lengths: (B,) int64.
            generator: source of the draws; torch's global one if not given.
        """
        inside = positions(ids) < lengths[:, None]
        order = torch.rand(ids.shape, generator=generator, device=ids.device)
        # Ranks, because two draws may be equal; padding comes last.
        order = order.masked_fill(~inside, 2.0).argsort(1).argsort(1)
        if self.targets == "all":
            ordered = inside
            targeted = inside & (order > 0)
        else:
            in_spans = self._spans(ids, generator) & inside
            # The order is random, so its first and last item are a fair choice of what has to be added.
            none, every = ~in_spans.any(1), in_spans.sum(1) == lengths
            targeted = in_spans | (none[:, None] & (order == 0))
            targeted &= ~(every[:, None] & (order == lengths[:, None] - 1))
            targeted &= lengths[:, None] > 1
            ordered = targeted
        replaced = targeted if self.hide_targets else None
        return self._plan(ids, lengths, targeted, order.masked_fill(~ordered, -1), ordered, replaced=replaced)

    def _spans(self, ids: Tensor, generator: torch.Generator | None) -> Tensor:
        """(B, T) bool: spans, each somewhere in a stretch of its length divided by the probability."""
        batch, steps = ids.shape
        count = 1 + int(steps * self.probability) + 1

        def draws() -> Tensor:
            return torch.rand((batch, count), generator=generator, device=ids.device)

        length = (draws() * self.max_span_length).long().clamp(max=self.max_span_length - 1) + 1
        stretch = length / self.probability
        # The first stretch begins before the session, so that no position is more likely than another.
        begin = stretch.cumsum(1) - stretch - stretch[:, :1] * draws()[:, :1]
        first = (begin + draws() * (stretch - length))[..., None].round()
        at = positions(ids)
        return ((at >= first) & (at < first + length[..., None])).any(1)

    def evaluate(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """The last item is the target and no other sees it; a session of one item has no target."""
        targeted = positions(ids) == lengths[:, None] - 1
        if not self.evaluate_single:
            targeted &= lengths[:, None] > 1
        return self._last(ids, lengths, targeted, ids)

    def predict(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """A place after the last item answers what comes next."""
        if self.predict_last:
            targeted = positions(ids) == lengths[:, None] - 1
            return self._last(ids, lengths, targeted, torch.zeros_like(ids))
        longer = torch.nn.functional.pad(ids, (0, 1))
        targeted = positions(longer) == lengths[:, None]
        return self._last(longer, lengths + 1, targeted, torch.zeros_like(longer), extend=1)

    def _last(
        self, ids: Tensor, lengths: Tensor, targeted: Tensor, answers: Tensor, *, extend: int = 0
    ) -> MaskPlan:
        order = targeted.long() - 1
        plan = self._plan(answers, lengths, targeted, order, targeted, replaced=targeted, extend=extend)
        if plan.pairs is None or not self.look_back:
            return plan
        at = positions(ids)
        return replace(plan, pairs=plan.pairs & (at <= at[:, None]))

    def _plan(
        self,
        ids: Tensor,
        lengths: Tensor,
        targeted: Tensor,
        order: Tensor,
        ordered: Tensor,
        *,
        replaced: Tensor | None = None,
        extend: int = 0,
    ) -> MaskPlan:
        """The plan in which what is ordered is seen only by what is after it in the order."""
        lengths = torch.full_like(lengths, ids.shape[1]) if self.attend_to_padding else lengths
        inside = positions(ids) < lengths[:, None]
        earlier = order[:, None, :] < order[:, :, None]
        return MaskPlan(
            replaced=torch.zeros_like(targeted) if replaced is None else replaced,
            targeted=targeted,
            targets=torch.where(targeted, ids, 0),
            lengths=lengths,
            attention="permuted",
            extend=extend,
            pairs=inside[:, None, :] & (~ordered[:, None, :] | earlier),
        )
