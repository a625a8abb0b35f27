"""``merlin.models.torch.tabular.transformations`` of V1: noise that is there in evaluation, too."""

from __future__ import annotations

from typing import Any

from merlin.models._legacy import legacy, served
from torch import Tensor
from transformers4rec.torch.tabular.transformations import StochasticSwapNoise as LaterNoise


@legacy
class StochasticSwapNoise(LaterNoise):
    """Some values of a column are replaced by other values of it, in training and in evaluation.

    Args:
        schema: with the item column, where padding is to be left alone.
        pad_token: id of padding.
        replacement_prob: chance of each value to be replaced.
    """

    def __init__(self, schema: Any = None, pad_token: int = 0, replacement_prob: float = 0.1) -> None:
        super().__init__(schema, pad_token, replacement_prob)

    def augment(self, input_tensor: Tensor, mask: Tensor | None = None) -> Tensor:
        """The column with some of its values replaced by others of it."""
        return self.swapped(input_tensor, mask)


__getattr__ = served(
    __name__,
    {"transformers4rec.torch.tabular.transformations": "TabularLayerNorm"},
)
