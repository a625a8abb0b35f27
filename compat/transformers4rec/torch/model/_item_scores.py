"""Scores of items: all of them, or the target's and those of some negatives."""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from torch import Tensor

from merlin_models_torch._products import put_scores
from merlin_models_torch._recording import is_recorded
from merlin_models_torch.blocks.linear import linear
from transformers4rec.torch.block.base import Block, BuildableBlock
from transformers4rec.torch.model._sampler import LogUniformSampler

_FALSE_NEGATIVE = torch.finfo(torch.float16).min / 100
"""Score of a negative that is the row's own target: what 23.12.0 writes, small enough for any softmax."""


class _NextItemPredictionTask(torch.nn.Module):
    """Scores of items, from the item table or a matrix of its own.

    Args:
        input_size: size of the input.
        target_dim: number of items.
        weight_tying: whether the item table is the matrix.
        item_embedding_table: the item table.
        softmax_temperature: divides the scores; 0 for none.
        sampled_softmax: whether training scores only the target and some negatives.
        max_n_samples: negatives at most.
        min_id: the first item that may be a negative.
    """

    def __init__(
        self,
        input_size: Any,
        target_dim: int,
        weight_tying: bool = False,
        item_embedding_table: torch.nn.Module | None = None,
        softmax_temperature: float = 0,
        sampled_softmax: bool | None = False,
        max_n_samples: int = 100,
        min_id: int | None = 0,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.target_dim = target_dim
        self.weight_tying = weight_tying
        self.item_embedding_table = item_embedding_table
        self.softmax_temperature = softmax_temperature
        self.sampled_softmax = sampled_softmax
        if not weight_tying:
            self.output_layer = torch.nn.Parameter(torch.empty(target_dim, input_size[-1]))
            torch.nn.init.kaiming_uniform_(self.output_layer, a=sqrt(5))
        if sampled_softmax:
            self.sampler = LogUniformSampler(max_n_samples=max_n_samples, max_id=target_dim, min_id=min_id)

    @property
    def weight(self) -> Tensor:
        """(V, D), one row per item."""
        return self.item_embedding_table.weight if self.weight_tying else self.output_layer

    def weight_for(self, inputs: Tensor) -> Tensor:
        """(V, D) for inputs of width D.

        Raises:
            RuntimeError: if the inputs have another width.
        """
        weight = self.weight
        # Sizes are no numbers while a program is traced.
        if not is_recorded() and inputs.shape[-1] != weight.shape[-1]:
            raise RuntimeError(
                f"NextItemPredictionTask scores vectors of width {inputs.shape[-1]} by a matrix of width "
                f"{weight.shape[-1]}: with weight_tying=True task_block ends in the width of the item table"
            )
        return weight

    def forward(
        self,
        inputs: Tensor,
        targets: Tensor | None = None,
        training: bool = False,
        testing: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """Scores of (N, D) inputs, and which of them are the targets'.

        Args:
            inputs: (N, D).
            targets: (N,) int64 ids.
            training: whether this is training, where scores may be sampled.
            testing: not used.
            **kwargs: not used.

        Returns:
            Scores (N, V) and the targets as they are; sampled, scores (N, 1 + M) and zeros (N,).
        """
        weight = self.weight_for(inputs)
        if self.sampled_softmax and training:
            scores, targets = self.sampled(inputs, targets, weight)
        else:
            scores = linear(inputs, weight)
        if self.softmax_temperature and self.softmax_temperature != 1:
            scores = scores / self.softmax_temperature
        return scores, targets

    def put_scores(self, into: Tensor, inputs: Tensor) -> None:
        """Writes the scores of all items, without gradients.

        Args:
            into: (N, V), changed.
            inputs: (N, D) of the dtype of the matrix.
        """
        put_scores(into, inputs, self.weight_for(inputs).detach())
        if self.softmax_temperature and self.softmax_temperature != 1:
            into /= self.softmax_temperature

    def sampled(self, inputs: Tensor, targets: Any, output_weights: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, 1 + M), the target's first, less the log of how likely each is drawn; zeros (N,)."""
        negatives, chance_of_targets, chance_of_negatives = self.sampler.sample(targets)
        of_targets = (inputs * output_weights[targets]).sum(dim=-1) - (chance_of_targets + 1e-16).log()
        of_negatives = inputs @ output_weights[negatives].t() - (chance_of_negatives + 1e-16).log()
        of_negatives = of_negatives.masked_fill(targets[:, None] == negatives, _FALSE_NEGATIVE)
        scores = torch.cat([of_targets[:, None], of_negatives], dim=1)
        return scores, torch.zeros_like(targets)

    def _get_name(self) -> str:
        return "NextItemPredictionTask"


class NextItemPredictionPrepareBlock(BuildableBlock):
    """Makes the scores of items.

    Args:
        target_dim: number of items.
        weight_tying: whether the item table is the matrix.
        item_embedding_table: the item table.
        softmax_temperature: divides the scores; 0 for none.
        sampled_softmax: whether training scores only the target and some negatives.
        max_n_samples: negatives at most.
        min_id: the first item that may be a negative.
    """

    def __init__(
        self,
        target_dim: int,
        weight_tying: bool = False,
        item_embedding_table: torch.nn.Module | None = None,
        softmax_temperature: float = 0,
        sampled_softmax: bool | None = False,
        max_n_samples: int | None = 100,
        min_id: int | None = 0,
    ) -> None:
        self.target_dim = target_dim
        self.weight_tying = weight_tying
        self.item_embedding_table = item_embedding_table
        self.softmax_temperature = softmax_temperature
        self.sampled_softmax = sampled_softmax
        self.max_n_samples = max_n_samples
        self.min_id = min_id

    def build(self, input_size: Any) -> Block:
        """The block for inputs of this size."""
        scores = _NextItemPredictionTask(
            input_size,
            self.target_dim,
            self.weight_tying,
            self.item_embedding_table,
            self.softmax_temperature,
            self.sampled_softmax,
            self.max_n_samples or 0,
            self.min_id,
        )
        return Block(scores, [-1, self.target_dim])
