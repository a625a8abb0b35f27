"""Which items a session has shown before the one to predict."""

from __future__ import annotations

import torch
from torch import Tensor

from merlin_models_torch.batch import Batch


def seen_items(batch: Batch, planned: Batch, item_id: str) -> Tensor:
    """The items visible to each predicting position, and those cut off before them.

    Args:
        batch: as a loader gave it, with whole sessions.
        planned: the same rows, cut to the model's length, with a masking plan.
        item_id: name of the item-id column.

    Returns:
        (N, T) int64 item rows, -1 in places that hold none; N as the plan's targets, T the longest whole
        session.

    Raises:
        ValueError: if there is no plan.
    """
    plan = planned.plan
    if plan is None:
        raise ValueError("seen items are known only with a masking plan: give the input block a masking")
    whole = batch.padded(item_id)
    lengths = batch.lengths(item_id)
    cut = torch.minimum(lengths, torch.full_like(lengths, planned.padded(item_id).shape[1]))
    rows, columns = plan.places()
    shift = (lengths - cut)[rows, None]
    # Position in the cut session of each item of the whole one; negative before the cut.
    steps = torch.arange(whole.shape[1], device=whole.device) - shift
    inside = (steps >= 0) & (steps < cut[rows, None])
    hidden = plan.replaced[rows].gather(1, steps.clamp(0, plan.replaced.shape[1] - 1))
    visible = inside & ~hidden
    if plan.attention == "causal":
        visible &= steps <= columns[:, None]
    return torch.where((steps < 0) | visible, whole[rows], -1)
