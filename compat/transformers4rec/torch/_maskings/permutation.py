"""Masking "plm": items are predicted in a random order, each from those before it in that order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from transformers4rec._legacy import legacy, tell_once
from transformers4rec.torch._maskings.base import (
    HOME,
    MaskingInfo,
    MaskSequence,
    last_position,
    masking_registry,
    one_shown,
)


@masking_registry.register_with_multiple_names("plm", "permutation")
@legacy(home=HOME)
class PermutationLanguageModeling(MaskSequence):
    """Spans of items are targets, seen only by those after them in a random order.

    What may see what goes to the transformer as ``perm_mask`` and ``target_mapping``, so it has to be XLNet.
    Padding is never hidden by them, as in 23.12.0.

    Args:
        hidden_size: width of the vector that hides a position.
        padding_idx: id of padding.
        eval_on_last_item_seq_only: whether evaluation has the last item as its only target.
        plm_probability: share of a stretch of items that is a span of targets.
        max_span_length: items of the longest span.
        permute_all: whether every item but one is a target. ``target_mapping`` is zero then, and what comes
            out of the transformer in training the same for every position.
        **kwargs: not used.
    """

    def __init__(
        self,
        hidden_size: int,
        padding_idx: int = 0,
        eval_on_last_item_seq_only: bool = True,
        plm_probability: float = 1 / 6,
        max_span_length: int = 5,
        permute_all: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(hidden_size, padding_idx, eval_on_last_item_seq_only)
        self.plm_probability = plm_probability
        self.max_span_length = max_span_length
        self.permute_all = permute_all
        self.target_mapping: Tensor | None = None
        self.perm_mask: Tensor | None = None
        if permute_all:
            tell_once(
                "permute_all",
                "masking 'plm' with permute_all=True leaves target_mapping zero, as in Transformers4Rec "
                "23.12.0: in training the transformer's output does not depend on the session. Use "
                "permute_all=False. See migration_guides/what-differs.md",
            )

    def _compute_masked_targets(self, item_ids: Tensor, **kwargs: Any) -> Any:  # type: ignore[override]
        """Nothing: :meth:`_compute_masked_targets_extended` does it here."""

    def _compute_masked_targets_extended(
        self, item_ids: Tensor, training: bool = False
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Positions (B, T), targets (B, T), ``target_mapping`` and ``perm_mask``, both (B, T, T)."""
        if training:
            return self._train(item_ids)
        steps = item_ids.shape[1]
        shape = (item_ids.shape[0], steps, steps)
        later = torch.ones(shape[1:], dtype=torch.bool, device=item_ids.device).triu(1).expand(shape)
        if not self.eval_on_last_item_seq_only:
            info = self.predict_all(item_ids)
            mapping = torch.eye(steps, dtype=torch.int64).expand(shape)
            return info.schema, info.targets, mapping, later.long()
        info = self._last_item(item_ids)
        last = last_position(item_ids != self.padding_idx)
        mapping = torch.eye(steps, device=item_ids.device).expand(shape)
        is_last = torch.arange(steps, device=item_ids.device) == last
        return info.schema, info.targets, mapping, (later | is_last[:, None]).long()

    def _train(self, item_ids: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        rows, steps = item_ids.shape
        items = item_ids != self.padding_idx
        mapping = torch.zeros(rows, steps, steps, device=item_ids.device)
        if self.permute_all:
            spans = items
        else:
            spans = self._spans(item_ids, items)
            mapping[:] = torch.eye(steps, device=item_ids.device)
        # A span may reach into the padding, which counts as hidden here and is no target.
        hidden = one_shown(spans, items) & items
        orders = torch.zeros_like(item_ids)
        for order in orders:
            order.copy_(torch.randperm(steps))
        orders = orders.masked_fill(~hidden, -1)
        not_earlier = orders[:, :, None] <= orders[:, None, :]
        perm_mask = (not_earlier & hidden[:, None]).float()
        return hidden, item_ids.where(hidden, self.padding_idx), mapping, perm_mask

    def _spans(self, item_ids: Tensor, items: Tensor) -> Tensor:
        """(B, T) bool. The draws come in the order of 23.12.0, so it is a loop over sessions as there."""
        steps = item_ids.shape[1]
        begins, ends, owners = [], [], []
        forced = torch.zeros_like(items)
        for row, length in enumerate(items.sum(1).tolist()):
            begin, found = 0, False
            while begin < length:
                span = int(torch.randint(1, self.max_span_length + 1, (1,)))
                stretch = int(span / self.plm_probability)
                start = begin + int(torch.randint(stretch - span + 1, (1,)))
                begin += stretch
                if start < length:
                    found = True
                    begins.append(start)
                    ends.append(start + span)
                    owners.append(row)
            if not found:
                place = torch.multinomial(items[row].float(), 1)
                forced[row, place] = item_ids[row, place] != 0
        at = torch.arange(steps, device=item_ids.device)
        limits = torch.tensor([begins, ends], device=item_ids.device).reshape(2, -1, 1)
        inside = (at >= limits[0]) & (at < limits[1])
        owner = torch.tensor(owners, dtype=torch.int64, device=item_ids.device)
        return torch.zeros_like(item_ids).index_add(0, owner, inside.to(item_ids.dtype)).bool() | forced

    def compute_masked_targets(  # type: ignore[override]
        self, item_ids: Tensor, training: bool = False, **kwargs: Any
    ) -> MaskingInfo:
        """Positions and targets of a batch, kept with ``target_mapping`` and ``perm_mask``.

        Args:
            item_ids: (B, T) int64, padded on the right.
            training: whether this is training; if not, it is evaluation, at inference too.
            **kwargs: not used but for a warning.
        """
        if not training and not kwargs.get("testing"):
            tell_once(
                "plm-inference",
                "masking 'plm' hides the last item at inference as in evaluation, as in Transformers4Rec "
                "23.12.0: the answers are for the last item, not for the one after it. Use masking='mlm'. "
                "See migration_guides/what-differs.md",
            )
        found = self._compute_masked_targets_extended(item_ids, training=training)
        self.mask_schema, self.masked_targets, self.target_mapping, self.perm_mask = found
        return MaskingInfo(self.mask_schema, self.masked_targets)

    def transformer_required_arguments(self) -> dict[str, Any]:
        """What may see what, and which positions are asked for."""
        return {"target_mapping": self.target_mapping, "perm_mask": self.perm_mask}
