"""Causal masking: every position predicts the item after it and sees only what is before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from merlin_models_torch._counts import check_count
from merlin_models_torch.masking.plan import MaskPlan, Mode, positions

_CHOICES = {"targets": ("all", "last"), "evaluate_on": ("all", "last"), "attention": ("causal", "full")}


@dataclass(frozen=True)
class CausalMasking:
    """Next-item prediction from the left (Radford et al. 2018; Kang and McAuley 2018 for sessions).

    With ``next_k`` each position predicts the set of the items after it in training: the same output vector
    answers for all of them, each a target of its own. Evaluation and prediction ask for the next item only.

    ``attention`` and the three arguments after it repeat Transformers4Rec 23.12's behaviour and exist for
    equality with it. With ``attention="full"`` over a body that is not causal by itself, the target of each
    position is among its inputs: training and evaluation then say nothing about prediction.

    Args:
        targets: in training, "all" positions predict the next item, or only the one before the "last" item.
        evaluate_on: the same choice for evaluation. "last" equals prediction on the session without its last
            item.
        attention: "causal", or "full" (legacy): every position is visible to every other.
        replace_padding: (legacy) padded positions get the mask vector, and so does the last item where all
            positions are targets.
        blank_last: (legacy) in training and evaluation the last column of the matrix becomes zero.
        attend_to_padding: (legacy) padded positions are visible.
        next_k: items that each position predicts in training, fewer near the end of a session. With "last"
            targets that is the position with this many items after it, or the first.

    Raises:
        TypeError: if ``next_k`` is no whole number.
        ValueError: for a choice that there is not; if ``next_k`` is less than 1, or more with a legacy option
            that shows the targets.

    Example:
        >>> ids, lengths = torch.tensor([[5, 6, 7, 8], [9, 4, 0, 0]]), torch.tensor([4, 2])
        >>> CausalMasking().train(ids, lengths).targets  # each item predicts the next one
        tensor([[6, 7, 8],
                [4, 0, 0]])
        >>> CausalMasking().evaluate(ids, lengths).targets  # the last one, from those before it
        tensor([[0, 0, 8],
                [4, 0, 0]])
        >>> CausalMasking(next_k=2).train(ids, lengths).items()
        tensor([6, 7, 7, 8, 8, 4])
    """

    targets: Literal["all", "last"] = "all"
    evaluate_on: Literal["all", "last"] = "last"
    attention: Literal["causal", "full"] = "causal"
    replace_padding: bool = False
    blank_last: bool = False
    attend_to_padding: bool = False
    next_k: int = 1

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected one of {list(choices)}")
        check_count("next_k", self.next_k)
        if self.next_k < 1:
            raise ValueError(f"next_k is {self.next_k}, expected at least 1 item to predict")
        if self.next_k > 1 and not self._leaves_out_last:
            raise ValueError(
                f"next_k is {self.next_k} and the masking is a legacy one (attention={self.attention!r}, "
                f"blank_last={self.blank_last}): use attention='causal' and blank_last=False"
            )

    def window(self, mode: Mode, length: int) -> int:
        """One item more than is visible where the last one is only a target."""
        return length + 1 if mode != "predict" and self._leaves_out_last else length

    @property
    def _leaves_out_last(self) -> bool:
        # With "full" attention, as in the legacy, the last item is an input like the others.
        return self.attention == "causal" and not self.blank_last

    def train(self, ids: Tensor, lengths: Tensor, *, generator: torch.Generator | None = None) -> MaskPlan:
        """Each position but the last of a session, or only the last but one, predicts the next items.

        Args:
            ids: (B, T) int64, padded on the right.
            lengths: (B,) int64.
            generator: not used, nothing is random here.
        """
        plan = self._next_item(ids, lengths, self.targets, self.next_k)
        if self.next_k == 1:
            return plan
        steps = positions(plan.targets)
        offsets = torch.arange(2, self.next_k + 1, device=ids.device)
        at = steps[:, None] + offsets
        padded = torch.nn.functional.pad(ids, (0, self.next_k))
        inside = plan.targeted[..., None] & (at < lengths[:, None, None])
        return replace(plan, further=torch.where(inside, padded[:, at], 0))

    def evaluate(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """As in training, with the choice of ``evaluate_on``. A session of one item has no target."""
        return self._next_item(ids, lengths, self.evaluate_on, 1)

    def predict(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """The last item's position answers what comes next."""
        steps = positions(ids)
        targeted = steps == lengths[:, None] - 1
        padding = steps >= lengths[:, None]
        return self._plan(ids, lengths, targeted, torch.zeros_like(ids), padding)

    def _next_item(self, ids: Tensor, lengths: Tensor, which: Literal["all", "last"], count: int) -> MaskPlan:
        steps = positions(ids)
        if which == "all":
            targeted = steps < lengths[:, None] - 1
            hidden = ~targeted
        else:
            # The first position where the session has fewer items after it; none where it has no other.
            targeted = (steps == (lengths[:, None] - 1 - count).clamp(min=0)) & (lengths[:, None] > 1)
            hidden = steps >= lengths[:, None]
        following = torch.nn.functional.pad(ids[:, 1:], (0, 1))
        targets = torch.where(targeted, following, 0)
        if self._leaves_out_last and ids.shape[1] > 1:
            plan = self._plan(ids[:, :-1], lengths, targeted[:, :-1], targets[:, :-1], hidden[:, :-1])
            return replace(plan, extend=-1)
        plan = self._plan(ids, lengths, targeted, targets, hidden)
        if not self.blank_last:
            return plan
        blank = (steps == ids.shape[1] - 1).expand_as(ids)
        return replace(plan, blank=blank)

    def _plan(
        self, ids: Tensor, lengths: Tensor, targeted: Tensor, targets: Tensor, hidden: Tensor
    ) -> MaskPlan:
        return MaskPlan(
            replaced=hidden if self.replace_padding else torch.zeros_like(targeted),
            targeted=targeted,
            targets=targets,
            lengths=torch.full_like(lengths, ids.shape[1]) if self.attend_to_padding else lengths,
            attention=self.attention,
        )
