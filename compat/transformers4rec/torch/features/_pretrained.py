"""Vectors that are given: in an embedding table, or with the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from transformers4rec._legacy import legacy
from transformers4rec.torch.block.base import SequentialBlock
from transformers4rec.torch.features.base import InputBlock
from transformers4rec.torch.tabular.base import FilterFeatures, TabularTransformation
from transformers4rec.torch.typing import TabularData

_HOME = "transformers4rec.torch.features.embedding"


@legacy(home=_HOME)
class PretrainedEmbeddingsInitializer(torch.nn.Module):
    """Fills an embedding table with given vectors.

    Args:
        weight_matrix: (V, D), the first row of it for padding.
        trainable: whether training changes them.
        **kwargs: not used.
    """

    def __init__(self, weight_matrix: Any, trainable: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.weight_matrix = torch.as_tensor(weight_matrix, device="cpu").detach().clone()
        self.trainable = trainable

    def forward(self, x: torch.Tensor) -> None:
        """Writes the vectors into ``x``."""
        try:
            with torch.no_grad():
                x.copy_(self.weight_matrix)
        except RuntimeError as error:
            raise RuntimeError(
                f"vectors of shape {tuple(self.weight_matrix.shape)} are given for a table of "
                f"{tuple(x.shape)}: give one for each id, 0 (padding) included, and embedding_dims"
            ) from error
        x.requires_grad = self.trainable


_COMBINERS: dict[str, Callable[..., Any]] = {
    "sum": torch.sum,
    "max": torch.amax,
    "min": torch.amin,
    "mean": torch.mean,
}


@legacy(home=_HOME)
class PretrainedEmbeddingFeatures(InputBlock):
    """Vectors that the data loader brings along.

    Args:
        features: names of the columns.
        pretrained_output_dims: width to project all to, or by column.
        sequence_combiner: how the positions of (B, T, D) columns become one vector, by name or module.
        pre: transformations of the inputs.
        post: transformations of the outputs.
        aggregation: makes one tensor of them.
        normalizer: transformation of the projected vectors, or its name.
        schema: of the columns.
    """

    def __init__(
        self,
        features: list[str],
        pretrained_output_dims: int | dict[str, int] | None = None,
        sequence_combiner: Any = None,
        pre: Any = None,
        post: Any = None,
        aggregation: Any = None,
        normalizer: Any = None,
        schema: Any = None,
    ) -> None:
        normalizer = TabularTransformation.parse(normalizer)
        post = SequentialBlock(normalizer, post) if normalizer and post else normalizer or post
        super().__init__(pre=pre, post=post, aggregation=aggregation, schema=schema)
        self.features = features
        self.filter_features = FilterFeatures(features)
        self.pretrained_output_dims = pretrained_output_dims
        self.sequence_combiner = self.parse_combiner(sequence_combiner)

    def _width(self, name: str) -> int | None:
        widths = self.pretrained_output_dims
        return widths.get(name) if isinstance(widths, dict) else widths

    def build(self, input_size: Any, **kwargs: Any) -> Any:
        """Makes the projections."""
        if input_size is not None and self.pretrained_output_dims:
            self.projection = torch.nn.ModuleDict(
                {
                    name: torch.nn.Linear(input_size[name][-1], width)
                    for name in self.features
                    if (width := self._width(name))
                }
            )
        return super().build(input_size, **kwargs)

    @classmethod
    @legacy(home=_HOME)
    def from_schema(
        cls,
        schema: Any,
        tags: Any = None,
        pretrained_output_dims: int | dict[str, int] | None = None,
        sequence_combiner: Any = None,
        normalizer: Any = None,
        pre: Any = None,
        post: Any = None,
        aggregation: Any = None,
        **kwargs: Any,
    ) -> PretrainedEmbeddingFeatures:
        """A block over the columns of these tags, maybe none."""
        if tags:
            schema = schema.select_by_tag(tags)
        return cls(
            features=schema.column_names,
            pretrained_output_dims=pretrained_output_dims,
            sequence_combiner=sequence_combiner,
            pre=pre,
            post=post,
            aggregation=aggregation,
            normalizer=normalizer,
        )

    def forward(self, inputs: TabularData) -> TabularData:
        """The vectors, projected and combined."""
        output = self.filter_features(inputs)
        if self.pretrained_output_dims:
            output = {
                name: self.projection[name](x) if name in self.projection else x for name, x in output.items()
            }
        if self.sequence_combiner:
            output = {
                name: self.sequence_combiner(x, axis=1) if x.dim() > 2 else x for name, x in output.items()
            }
        return output

    def forward_output_size(self, input_sizes: dict[str, Any]) -> dict[str, torch.Size]:
        """The columns' sizes with the projected width."""
        sizes = self.filter_features.forward_output_size(input_sizes)
        return {name: torch.Size([*size[:-1], self._width(name) or size[-1]]) for name, size in sizes.items()}

    def parse_combiner(self, combiner: Any) -> Any:
        """The function of a name; anything else as it is."""
        return _COMBINERS.get(combiner, combiner) if isinstance(combiner, str) else combiner
