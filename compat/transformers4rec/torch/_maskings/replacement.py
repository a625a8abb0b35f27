"""Masking "rtd": in 23.12.0 masking "mlm" with a way to draw replacements, which nothing there calls."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from transformers4rec._legacy import legacy, tell_once
from transformers4rec.torch._maskings.base import HOME, masking_registry
from transformers4rec.torch._maskings.masked import MaskedLanguageModeling


@masking_registry.register_with_multiple_names("rtd", "replacement")
@legacy(home=HOME)
class ReplacementLanguageModeling(MaskedLanguageModeling):
    """Masks as :class:`MaskedLanguageModeling` does, always with its default probability.

    A discriminator of one's own can get its inputs and labels from :meth:`get_fake_tokens`.

    Args:
        hidden_size: width of the vector that hides a position.
        padding_idx: id of padding.
        eval_on_last_item_seq_only: whether evaluation has the last item as its only target.
        sample_from_batch: whether replacements are other targets of the batch, or any item.
        **kwargs: not used, ``mlm_probability`` neither.
    """

    def __init__(
        self,
        hidden_size: int,
        padding_idx: int = 0,
        eval_on_last_item_seq_only: bool = True,
        sample_from_batch: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(hidden_size, padding_idx, eval_on_last_item_seq_only)
        self.sample_from_batch = sample_from_batch
        tell_once(
            "rtd",
            "masking 'rtd' trains as masking 'mlm' with mlm_probability=0.15, whatever is given: as in "
            "Transformers4Rec 23.12.0 no item is replaced and no discriminator trained. Use masking='mlm', "
            "or ReplacedItemModel of merlin_models_torch. See migration_guides/what-differs.md",
        )

    def get_fake_tokens(
        self, itemid_seq: Tensor, target_flat: Tensor, logits: Tensor
    ) -> tuple[Tensor, Tensor, Any]:
        """Draws an item for each hidden one, for a discriminator to find out.

        Args:
            itemid_seq: (B, T) int64.
            target_flat: (B * T,) int64, the targets of the masking.
            logits: (N, V) scores of the N targets, or (N, N) with ``sample_from_batch``.

        Returns:
            (B, T) int64 items with those drawn in place; (B, T) bool, where they are others than the
            session's own; and the (N,) targets drawn with ``sample_from_batch``, else an empty list.
        """
        width = itemid_seq.shape[1]
        hidden = target_flat != self.padding_idx
        drawn = self.sample_from_softmax(logits).flatten()
        items = target_flat[hidden][drawn] if self.sample_from_batch else drawn
        items = items.to(target_flat.dtype)
        replaced = target_flat.masked_scatter(hidden, items)
        inputs = itemid_seq.reshape(-1).masked_scatter(hidden, items)
        return (
            inputs.view(-1, width),
            (replaced != target_flat).view(-1, width),
            drawn if self.sample_from_batch else [],
        )

    def sample_from_softmax(self, logits: Tensor) -> Tensor:
        """(N,) int64, an answer for each of (N, V) scores, drawn with its probability."""
        uniform = torch.rand(logits.shape, dtype=logits.dtype, device=logits.device)
        gumbel = -((-(uniform + 1e-9).log() + 1e-9).log())
        return (logits + gumbel).argmax(-1)
