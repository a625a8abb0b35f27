"""Context that joins a sequence's representation right before the prediction."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from transformers4rec._legacy import legacy
from transformers4rec.torch.tabular.base import TabularBlock

_AGGREGATIONS = ("concat", "elementwise-mul", "elementwise-sum")


@legacy
class PostContextFusion(TabularBlock):
    """A body's output with context that the body does not see, joined as in Latent Cross (WSDM 2018).

    Args:
        sequential_module: body whose output is (B, T, D).
        post_context_module: block whose output is (B, T, C), or (B, C) for one context of a row.
        fusion_aggregation: "elementwise-mul" (times 1 plus the projected context), "elementwise-sum" (plus
            the projected context) or "concat".

    Raises:
        ValueError: for another aggregation.
    """

    def __init__(
        self, sequential_module: Any, post_context_module: Any, fusion_aggregation: str = "elementwise-mul"
    ) -> None:
        super().__init__()
        if fusion_aggregation not in _AGGREGATIONS:
            raise ValueError(f"fusion_aggregation is one of {_AGGREGATIONS}, got {fusion_aggregation!r}")
        self.sequential_module = sequential_module
        self.post_context_module = post_context_module
        self.fusion_aggregation = fusion_aggregation
        self.inputs = sequential_module.inputs
        _, self.seq_length, width = sequential_module[-1].output_size()
        context_width = post_context_module.output_size()[-1]
        self.last_dim = width + context_width
        if fusion_aggregation != "concat":
            self.last_dim = width
            self.context_projection = torch.nn.Linear(context_width, width)

    def forward(self, inputs: Any, training: bool = False, testing: bool = False, **kwargs: Any) -> Any:
        """(B, T, D), or (B, T, D + C) where they are concatenated."""
        sequence = self.sequential_module(inputs, training=training, testing=testing, **kwargs)
        context: Tensor = self.post_context_module(inputs, training=training)
        if context.dim() == 2:
            context = context.unsqueeze(1).expand(-1, sequence.shape[1], -1)
        if self.fusion_aggregation == "concat":
            return torch.cat([sequence, context], dim=-1)
        projected = self.context_projection(context)
        return (
            sequence * (1 + projected)
            if self.fusion_aggregation == "elementwise-mul"
            else sequence + projected
        )

    def output_size(self, input_size: Any = None) -> list[int]:
        """Any number of rows, positions, width."""
        return [-1, self.seq_length, self.last_dim]

    def forward_output_size(self, input_size: Any) -> torch.Size:
        """The same, as a size."""
        return torch.Size(self.output_size())
