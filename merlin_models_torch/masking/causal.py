"""Causal masking: every position predicts the item after it and sees only what is before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from merlin_models_torch.masking.plan import MaskPlan, Mode, positions


@dataclass(frozen=True)
class CausalMasking:
    """Next-item prediction from the left (Radford et al. 2018; Kang and McAuley 2018 for sessions).

    The last four arguments repeat Transformers4Rec 23.12's behaviour and exist for equality with it. With
    ``attention="full"`` over a body that is not causal by itself, the target of each position is among its
    inputs: training and evaluation then say nothing about prediction.

    Args:
        targets: in training, "all" positions predict the next item, or only the one before the "last" item.
        evaluate_on: the same choice for evaluation. "last" equals prediction on the session without its last
            item.
        attention: "causal", or "full" (legacy): every position is visible to every other.
        replace_padding: (legacy) padded positions get the mask vector, and so does the last item where all
            positions are targets.
        blank_last: (legacy) in training and evaluation the last column of the matrix becomes zero.
        attend_to_padding: (legacy) padded positions are visible.
    """

    targets: Literal["all", "last"] = "all"
    evaluate_on: Literal["all", "last"] = "last"
    attention: Literal["causal", "full"] = "causal"
    replace_padding: bool = False
    blank_last: bool = False
    attend_to_padding: bool = False

    def window(self, mode: Mode, length: int) -> int:
        """One item more than is visible where the last one is only a target."""
        return length + 1 if mode != "predict" and self._leaves_out_last else length

    @property
    def _leaves_out_last(self) -> bool:
        # With "full" attention, as in the legacy, the last item is an input like the others.
        return self.attention == "causal" and not self.blank_last

    def train(self, ids: Tensor, lengths: Tensor, *, generator: torch.Generator | None = None) -> MaskPlan:
        """Each position but the last of a session, or only the last but one, predicts the next item.

        Args:
            ids: (B, T) int64, padded on the right.
            lengths: (B,) int64.
            generator: not used, nothing is random here.
        """
        return self._next_item(ids, lengths, self.targets)

    def evaluate(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """As in training, with the choice of ``evaluate_on``. A session of one item has no target."""
        return self._next_item(ids, lengths, self.evaluate_on)

    def predict(self, ids: Tensor, lengths: Tensor) -> MaskPlan:
        """The last item's position answers what comes next."""
        steps = positions(ids)
        targeted = steps == lengths[:, None] - 1
        padding = steps >= lengths[:, None]
        return self._plan(ids, lengths, targeted, torch.zeros_like(ids), padding)

    def _next_item(self, ids: Tensor, lengths: Tensor, which: Literal["all", "last"]) -> MaskPlan:
        steps = positions(ids)
        if which == "all":
            targeted = steps < lengths[:, None] - 1
            hidden = ~targeted
        else:
            targeted = steps == lengths[:, None] - 2
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
