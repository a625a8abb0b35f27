"""``merlin.models.torch.blocks.experts``: mixtures of experts."""

from __future__ import annotations

from typing import Any

from merlin.models._legacy import legacy, served
from torch import nn

from merlin_models_torch import blocks as core


@legacy
class MMOEBlock(core.MMOEBlock):
    """The core's, with the number of experts by position.

    Args:
        expert: the first expert.
        num_experts: how many.
        outputs: the tasks; one mixture without it.
    """

    def __init__(self, expert: nn.Module, num_experts: int, outputs: Any = None) -> None:
        super().__init__(expert, num_experts=num_experts, outputs=outputs)


__getattr__ = served(__name__, {"merlin_models_torch": "CGCBlock PLEBlock"})
