"""Masking "clm": the next item from the left."""

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
)


@masking_registry.register_with_multiple_names("clm", "causal")
@legacy(home=HOME)
class CausalLanguageModeling(MaskSequence):
    """Every position predicts the item after it.

    Nothing here keeps a transformer from looking at later positions: over one that looks both ways (all but
    GPT-2 and Transformer-XL) each position sees its own target, in training and in evaluation, as in 23.12.0.

    Args:
        hidden_size: width of the vector that hides a position.
        padding_idx: id of padding.
        eval_on_last_item_seq_only: whether evaluation has the last item as its only target.
        train_on_last_item_seq_only: the same for training.
        **kwargs: not used.
    """

    def __init__(
        self,
        hidden_size: int,
        padding_idx: int = 0,
        eval_on_last_item_seq_only: bool = True,
        train_on_last_item_seq_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(hidden_size, padding_idx, eval_on_last_item_seq_only)
        self.train_on_last_item_seq_only = train_on_last_item_seq_only

    def _compute_masked_targets(
        self, item_ids: Tensor, training: bool = False, testing: bool = False
    ) -> MaskingInfo:
        items = item_ids != self.padding_idx
        if not training and not testing:
            return MaskingInfo(items, item_ids)
        info = self.predict_all(item_ids)
        last_only = self.train_on_last_item_seq_only if training else self.eval_on_last_item_seq_only
        if not last_only:
            return info
        last = last_position(info.schema)
        # Zeros elsewhere, whatever the padding id is.
        targets = torch.zeros_like(item_ids).scatter(1, last, info.targets.gather(1, last))
        return MaskingInfo(items, targets)

    def apply_mask_to_inputs(
        self, inputs: Tensor, mask_schema: Tensor, training: bool = False, testing: bool = False
    ) -> Tensor:
        """(B, T, D) inputs with the mask vector where ``mask_schema`` is not set.

        In training and evaluation the last column counts as nothing, unless it is masked.
        """
        if training or testing:
            inputs = torch.nn.functional.pad(inputs[:, :-1], (0, 0, 0, 1))
        return self._hide(inputs, ~mask_schema.bool())
