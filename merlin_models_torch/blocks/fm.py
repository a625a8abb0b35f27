"""Factorisation machines."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.base import call, takes_batch
from merlin_models_torch.blocks.interactions import pairwise_sum
from merlin_models_torch.blocks.join import concatenated, stacked
from merlin_models_torch.serialize import serializable


@serializable
class FMBlock(nn.Module):
    """A logit of features and of their pairs: a factorisation machine (Rendle 2010, equation 1).

    ``w0 + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j``, where ``v_i x_i`` are the factors: for a
    categorical column the row of an embedding table, for a number its value times a vector.

    Args:
        factors: makes the vectors ``v_i x_i`` of one width from the inputs: (B, F, D), or a dict of (B, D).
            The inputs themselves if not given.
        wide: makes the features ``x_i`` of the first-order part: (B, W), or a dict; a linear layer with bias
            follows. Without it there is no first-order part.

    Example:
        >>> FMBlock()(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))  # 1 * 3 + 2 * 4
        tensor([[11.]])
    """

    def __init__(self, *, factors: nn.Module | None = None, wide: nn.Module | None = None) -> None:
        super().__init__()
        self.factors = factors
        self.wide = wide
        self.linear = None if wide is None else nn.LazyLinear(1)
        self._factors_take_batch = factors is not None and takes_batch(factors)
        self._wide_takes_batch = wide is not None and takes_batch(wide)

    def forward(self, inputs: Any, batch: Batch | None = None) -> Tensor:
        """The logit.

        Args:
            inputs: what ``factors`` and ``wide`` take.
            batch: passed to them if they ask for it; the inputs if those are a batch.

        Returns:
            (B, 1).
        """
        vectors = inputs
        if self.factors is not None:
            vectors = call(self.factors, inputs, batch, takes=self._factors_take_batch)
        logit = pairwise_sum(stacked(vectors)).sum(-1, keepdim=True)
        if self.wide is None or self.linear is None:
            return logit
        features = call(self.wide, inputs, batch, takes=self._wide_takes_batch)
        first: Tensor = self.linear(concatenated(features))
        return first + logit
