"""Continuous columns."""

from __future__ import annotations

from typing import Any

import torch

from transformers4rec._legacy import elsewhere, legacy
from transformers4rec.torch.features.base import InputBlock
from transformers4rec.torch.tabular.base import FilterFeatures
from transformers4rec.torch.typing import TabularData

__getattr__ = elsewhere(
    __name__,
    {
        "merlin_standard_lib": "Schema",
        "transformers4rec.torch.tabular.base": "TabularAggregationType TabularTransformationType",
    },
)


@legacy
class ContinuousFeatures(InputBlock):
    """Continuous columns, each with a last dimension of one.

    Args:
        features: names of the columns.
        pre: transformations of the inputs.
        post: transformations of the outputs.
        aggregation: makes one tensor of them.
        schema: of the columns.
        **kwargs: not used.
    """

    def __init__(
        self,
        features: list[str],
        pre: Any = None,
        post: Any = None,
        aggregation: Any = None,
        schema: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(aggregation=aggregation, pre=pre, post=post, schema=schema)
        self.filter_features = FilterFeatures(features)

    @classmethod
    @legacy
    def from_features(cls, features: list[str], **kwargs: Any) -> ContinuousFeatures:
        """A block over these columns."""
        return cls(features, **kwargs)

    def forward(self, inputs: TabularData, **kwargs: Any) -> TabularData:
        """(..., 1) of each column."""
        return {name: x.unsqueeze(-1) for name, x in self.filter_features(inputs).items()}

    def forward_output_size(self, input_sizes: dict[str, Any]) -> dict[str, torch.Size]:
        """The columns' sizes with a one at the end."""
        kept = self.filter_features.forward_output_size(input_sizes)
        return {name: torch.Size([*size, 1]) for name, size in kept.items()}
