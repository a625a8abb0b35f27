"""Transformations of columns: noise, normalisation, dropout."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from transformers4rec._legacy import elsewhere, legacy
from transformers4rec.torch.tabular.base import TabularTransformation, tabular_transformation_registry
from transformers4rec.torch.typing import TabularData, TensorOrTabularData

LOG = logging.getLogger("transformers4rec")


__getattr__ = elsewhere(
    __name__,
    {
        "transformers4rec.torch.features.embedding": "FeatureConfig TableConfig",
    },
)


@tabular_transformation_registry.register_with_multiple_names("stochastic-swap-noise", "ssn")
@legacy
class StochasticSwapNoise(TabularTransformation):
    """In training, some values of a column are replaced by other values of it.

    Args:
        schema: with the item column, where padding is to be left alone.
        pad_token: id of padding.
        replacement_prob: chance of each value to be replaced.
    """

    def __init__(self, schema: Any = None, pad_token: int = 0, replacement_prob: float = 0.1) -> None:
        super().__init__()
        self.schema = schema
        self.pad_token = pad_token
        self.replacement_prob = replacement_prob

    def forward(
        self, inputs: TensorOrTabularData, input_mask: Tensor | None = None, **kwargs: Any
    ) -> TensorOrTabularData:
        """The noisy columns, or tensor.

        Args:
            inputs: columns, or one.
            input_mask: (B, T) bool, where values may be replaced; where there are items if there is a schema.
            **kwargs: not used.
        """
        if self.schema and input_mask is None:
            input_mask = self.get_padding_mask_from_item_id(inputs, self.pad_token)
        if isinstance(inputs, dict):
            return {name: self.augment(x, input_mask) for name, x in inputs.items()}
        return self.augment(inputs, input_mask)

    def forward_output_size(self, input_size: Any) -> Any:
        """The input's size."""
        return input_size

    def augment(self, input_tensor: Tensor, mask: Tensor | None = None) -> Tensor:
        """The column, in training with some of its values replaced by others of it."""
        return self.swapped(input_tensor, mask) if self.training else input_tensor

    @torch.no_grad()
    def swapped(self, input_tensor: Tensor, mask: Tensor | None = None) -> Tensor:
        """The column with some of its values replaced by others of it."""
        if mask is not None and input_tensor.dim() == mask.dim() - 1:
            mask = mask[:, 0]
        replaced = torch.bernoulli(
            torch.full(input_tensor.shape, self.replacement_prob, device=input_tensor.device)
        ).bool()
        if mask is not None:
            replaced &= mask
        values = input_tensor[mask] if mask is not None else input_tensor.flatten()
        others = values[torch.randperm(len(values), device=values.device)][: int(replaced.sum())]
        output = input_tensor.clone()
        output[replaced] = others
        return output


@tabular_transformation_registry.register_with_multiple_names("layer-norm")
@legacy
class TabularLayerNorm(TabularTransformation):
    """Layer normalisation of each column by itself.

    Args:
        features_dim: width by column; those of one are left as they are.
    """

    def __init__(self, features_dim: dict[str, int] | None = None) -> None:
        super().__init__()
        self.feature_layer_norm = torch.nn.ModuleDict()
        self._set_features_layer_norm(features_dim)

    def _set_features_layer_norm(self, features_dim: dict[str, int] | None) -> None:
        for name, width in (features_dim or {}).items():
            if width == 1:
                LOG.warning("Column %r has one value at each place and cannot be layer-normalised", name)
            else:
                self.feature_layer_norm[name] = torch.nn.LayerNorm(normalized_shape=width)

    @classmethod
    def from_feature_config(cls, feature_config: dict[str, Any]) -> TabularLayerNorm:
        """For the widths of embedding tables."""
        return cls({name: feature.table.dim for name, feature in feature_config.items()})

    def forward(self, inputs: TabularData, **kwargs: Any) -> TabularData:
        """The normalised columns."""
        norms = self.feature_layer_norm
        return {name: norms[name](x) if name in norms else x for name, x in inputs.items()}

    def forward_output_size(self, input_size: Any) -> Any:
        """The inputs' sizes."""
        return input_size

    def build(self, input_size: Any, **kwargs: Any) -> Any:
        """Makes the normalisations for columns of these sizes."""
        if input_size is not None:
            self._set_features_layer_norm({name: size[-1] for name, size in input_size.items()})
        return super().build(input_size, **kwargs)


@tabular_transformation_registry.register_with_multiple_names("dropout")
@legacy
class TabularDropout(TabularTransformation):
    """Dropout of every column.

    Args:
        dropout_rate: chance of each value to become 0.
    """

    def __init__(self, dropout_rate: float = 0.0) -> None:
        super().__init__()
        self.dropout = torch.nn.Dropout(dropout_rate)

    def forward(self, inputs: TabularData, **kwargs: Any) -> TabularData:
        """The columns, in training with values dropped."""
        return {name: self.dropout(x) for name, x in inputs.items()}

    def forward_output_size(self, input_size: Any) -> Any:
        """The inputs' sizes."""
        return input_size
