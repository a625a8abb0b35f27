"""Several columns as one tensor."""

from __future__ import annotations

from typing import Any

import torch

from transformers4rec._legacy import elsewhere, legacy
from transformers4rec.config.schema import item_id_column, requires_schema
from transformers4rec.torch.tabular.base import TabularAggregation, tabular_aggregation_registry
from transformers4rec.torch.typing import TabularData
from transformers4rec.torch.utils.torch_utils import calculate_batch_size_from_input_size

__getattr__ = elsewhere(
    __name__,
    {
        "merlin_standard_lib": "Schema",
    },
)


def _by_name(inputs: TabularData) -> list[torch.Tensor]:
    return [inputs[name] for name in sorted(inputs)]


@tabular_aggregation_registry.register("concat")
@legacy
class ConcatFeatures(TabularAggregation):
    """The columns side by side in the last dimension, in the order of their names."""

    def forward(self, inputs: TabularData) -> torch.Tensor:
        """(B, T, sum of D) of (B, T, D) columns; columns without positions are repeated at each."""
        inputs = self._expand_non_sequential_features(inputs)
        self._check_concat_shapes(inputs)
        return torch.cat(_by_name(inputs), dim=-1)

    def forward_output_size(self, input_size: dict[str, Any]) -> tuple[int, ...]:
        """The last dimensions added up."""
        return self._get_agg_output_size(input_size, sum(size[-1] for size in input_size.values()))


@tabular_aggregation_registry.register("stack")
@legacy
class StackFeatures(TabularAggregation):
    """The columns in a new dimension, in the order of their names.

    Args:
        axis: where the new dimension is.
    """

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, inputs: TabularData) -> torch.Tensor:
        """The columns stacked; those without positions are repeated at each."""
        inputs = self._expand_non_sequential_features(inputs)
        self._check_concat_shapes(inputs)
        return torch.stack(_by_name(inputs), dim=self.axis)

    def forward_output_size(self, input_size: dict[str, Any]) -> tuple[int, ...]:
        """Rows, positions, number of columns at the axis; not the columns' own width, as in 23.12.0."""
        size = [calculate_batch_size_from_input_size(input_size)]
        sequences, length = self._get_seq_features_shapes(input_size)
        if sequences:
            size.append(length)
        if self.axis == -1:
            size.append(len(input_size))
        else:
            size.insert(self.axis, len(input_size))
        return tuple(size)


class ElementwiseFeatureAggregation(TabularAggregation):
    """Columns of one size, combined value by value."""

    def _check_input_shapes_equal(self, inputs: TabularData) -> None:
        if len({x.shape for x in inputs.values()}) != 1:
            sizes = {name: tuple(x.shape) for name, x in inputs.items()}
            raise ValueError(f"an element-wise aggregation needs columns of one size, got {sizes}")

    def _check_inputs_last_dim_equal(self, inputs_sizes: dict[str, Any]) -> None:
        if len({size[-1] for size in inputs_sizes.values()}) != 1:
            raise ValueError(
                f"an element-wise aggregation needs columns of one width, got {inputs_sizes}: "
                "give all the same embedding dimension"
            )

    def forward_output_size(self, input_size: dict[str, Any]) -> tuple[int, ...]:
        """The size of one column."""
        self._check_inputs_last_dim_equal(input_size)
        return self._get_agg_output_size(input_size, next(iter(input_size.values()))[-1])


@tabular_aggregation_registry.register("element-wise-sum")
@legacy
class ElementwiseSum(ElementwiseFeatureAggregation):
    """The columns added up."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = StackFeatures(axis=0)

    def forward(self, inputs: TabularData) -> torch.Tensor:
        """The sum; columns without positions are repeated at each."""
        inputs = self._expand_non_sequential_features(inputs)
        self._check_input_shapes_equal(inputs)
        return self.stack(inputs).sum(dim=0)


@tabular_aggregation_registry.register("element-wise-sum-item-multi")
@requires_schema
@legacy
class ElementwiseSumItemMulti(ElementwiseFeatureAggregation):
    """The item's column times the sum of all others.

    Args:
        schema: with one column tagged as item id; set later by the block if not given.
    """

    def __init__(self, schema: Any = None) -> None:
        super().__init__()
        self.stack = StackFeatures(axis=0)
        self.schema = schema
        self.item_id_col_name = None

    def forward(self, inputs: TabularData) -> torch.Tensor:
        """The product; columns without positions are repeated at each."""
        inputs = self._expand_non_sequential_features(inputs)
        self._check_input_shapes_equal(inputs)
        item = item_id_column(self.schema)
        others = {name: x for name, x in inputs.items() if name != item}
        return inputs[item] * self.stack(others).sum(dim=0)
