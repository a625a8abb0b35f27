"""``merlin.models.torch.outputs.sampling.in_batch``: the other rows' items as negatives."""

from __future__ import annotations

import torch
from merlin.models._legacy import legacy
from merlin.models.torch.registry import registry
from torch import Tensor, nn


@registry.register("in-batch")
@legacy
class InBatchNegativeSampler(nn.Module):
    """The batch's own items; in training they are kept as buffers."""

    negative: Tensor
    negative_id: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("negative", torch.zeros(1))
        self.register_buffer("negative_id", torch.zeros(1))

    def forward(self, positive: Tensor, positive_id: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors (B, D) and ids (B,) as they are."""
        if self.training:
            for name, value in (("negative", positive), ("negative_id", positive_id)):
                if isinstance(value, Tensor):
                    setattr(self, name, value)
        return positive, positive_id
