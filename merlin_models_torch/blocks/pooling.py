"""Sequences by the mean of what each position may see: the simplest body there is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.masking.sight import Sight
from merlin_models_torch.serialize import serializable

_SIGHT = Sight("MeanPooling", frozenset({"causal", "full"}))


@serializable
class MeanPooling(nn.Module):
    """Each position becomes the mean of those that it may see (Covington et al. 2016, section 3.2).

    Under causal masking that is the running mean of a session's items, so that every prefix of it is an
    example of training. A column of the row as a whole, repeated at every position, stays as it is.

    Example:
        >>> pooling = MeanPooling()
        >>> pooling(torch.tensor([[[1.0], [3.0]]])).flatten().tolist()
        [2.0, 2.0]
    """

    def forward(self, inputs: Tensor, batch: Batch | None = None) -> Tensor:
        """The means.

        Args:
            inputs: (B, T, D) float.
            batch: with the plan that says what is visible; everything is, without one.

        Returns:
            (B, T, D) float.

        Raises:
            ValueError: if the masking is a permuted one.
        """
        plan = None if batch is None else batch.plan
        if plan is None:
            return inputs.mean(1, keepdim=True).expand_as(inputs)
        _SIGHT.check(plan)
        if plan.attention == "causal":
            # Padding is on the right, so no position in use has any before it.
            steps = torch.arange(1, inputs.shape[1] + 1, device=inputs.device, dtype=inputs.dtype)
            return inputs.cumsum(1) / steps[:, None]
        seen = plan.visible().to(inputs.dtype)
        mean = seen @ inputs / seen.sum(-1, keepdim=True).clamp(min=1)
        return mean.expand_as(inputs)
