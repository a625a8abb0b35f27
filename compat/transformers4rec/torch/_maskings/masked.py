"""Masking "mlm": hidden items from both sides."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from transformers4rec._legacy import legacy
from transformers4rec.torch._maskings.base import (
    HOME,
    MaskingInfo,
    MaskSequence,
    last_position,
    masking_registry,
    one_shown,
)


@masking_registry.register_with_multiple_names("mlm", "masked")
@legacy(home=HOME)
class MaskedLanguageModeling(MaskSequence):
    """Random items are hidden and predicted from both sides; at inference a hidden one follows the last.

    Args:
        hidden_size: width of the vector that hides a position.
        padding_idx: id of padding.
        eval_on_last_item_seq_only: whether evaluation has the last item as its only target.
        mlm_probability: chance of each item to be hidden; at least one is, and never all.
        **kwargs: not used.
    """

    def __init__(
        self,
        hidden_size: int,
        padding_idx: int = 0,
        eval_on_last_item_seq_only: bool = True,
        mlm_probability: float = 0.15,
        **kwargs: Any,
    ) -> None:
        super().__init__(hidden_size, padding_idx, eval_on_last_item_seq_only)
        self.mlm_probability = mlm_probability

    def _compute_masked_targets(
        self, item_ids: Tensor, training: bool = False, testing: bool = False
    ) -> MaskingInfo:
        if training:
            hidden = self._draw(item_ids != self.padding_idx)
            return MaskingInfo(hidden, item_ids.where(hidden, self.padding_idx))
        if testing:
            return (
                self._last_item(item_ids) if self.eval_on_last_item_seq_only else self.predict_all(item_ids)
            )
        return self._place_after_last(item_ids)

    def _draw(self, items: Tensor) -> Tensor:
        """(B, T) bool, the hidden ones of (B, T) items; the draws come in the order of 23.12.0."""
        chance = torch.full(items.shape, self.mlm_probability, device=items.device)
        hidden = torch.bernoulli(chance).bool() & items
        hidden = hidden.scatter(1, torch.multinomial(items.float(), 1), True)
        return one_shown(hidden, items)

    def _place_after_last(self, item_ids: Tensor) -> MaskingInfo:
        """(B, T + 1): the place to predict, which 23.12.0 marks with the last item again."""
        items = item_ids != self.padding_idx
        last = item_ids.gather(1, last_position(items))
        longer = item_ids.new_full((item_ids.shape[0], item_ids.shape[1] + 1), self.padding_idx)
        targets = longer.scatter(1, items.sum(1, keepdim=True), last)
        return MaskingInfo(targets != self.padding_idx, targets)

    def apply_mask_to_inputs(
        self, inputs: Tensor, mask_schema: Tensor, training: bool = False, testing: bool = False
    ) -> Tensor:
        """(B, T, D) inputs with the mask vector where ``mask_schema`` is set; (B, T + 1, D) at inference."""
        if not training and not testing:
            inputs = torch.cat([inputs, inputs[:, -1:]], dim=1)
        return self._hide(inputs, mask_schema)
