"""``merlin.models.torch.tabular.aggregation`` of V1: the drop-in for Transformers4Rec has most of it."""

from __future__ import annotations

from typing import Any

from merlin.models._legacy import legacy, served
from transformers4rec.torch.tabular.aggregation import StackFeatures as LaterStack
from transformers4rec.torch.utils.torch_utils import calculate_batch_size_from_input_size


@legacy
class StackFeatures(LaterStack):
    """The columns one above the other.

    Args:
        axis: the new dimension.
    """

    def __init__(self, axis: int = -1) -> None:
        super().__init__(axis)

    def forward_output_size(self, input_size: Any) -> tuple[int, ...]:
        """Rows, columns and width, which V1 gave for any axis; the later one leaves out the width."""
        batch = calculate_batch_size_from_input_size(input_size)
        return batch, len(input_size), next(iter(input_size.values()))[-1]


__getattr__ = served(
    __name__,
    {
        "transformers4rec.torch.tabular.aggregation": """
            ConcatFeatures ElementwiseFeatureAggregation ElementwiseSum ElementwiseSumItemMulti
        """,
    },
)
