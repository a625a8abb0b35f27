"""``merlin.models.torch.blocks.cross``: products of features of bounded degree."""

from __future__ import annotations

from typing import Any

from merlin.models._legacy import legacy, served
from merlin.models.torch.block import Block
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks import CrossBlock as CoreCrossBlock
from merlin_models_torch.blocks.join import concatenated


@legacy
class CrossBlock(Block):
    """``first * module(hidden) + hidden`` for each module: DCN-v2 (Wang et al. 2021, equation 1).

    Args:
        *module: each gives the width that it gets; :meth:`with_depth` makes linear ones.
        name: shown when the block is printed.
    """

    @classmethod
    def with_depth(cls, depth: int) -> CoreCrossBlock:
        """The core's cross layers.

        Raises:
            ValueError: if ``depth`` is less than 1.
        """
        return CoreCrossBlock(depth)

    @classmethod
    def with_low_rank(cls, depth: int, low_rank: nn.Module) -> CoreCrossBlock:
        """The core's cross layers of low rank (equation 2); a bias of the narrow layer is in theirs.

        Raises:
            ValueError: if ``low_rank`` is no linear layer.
        """
        if not isinstance(low_rank, nn.Linear):
            raise ValueError(
                f"low_rank is a {type(low_rank).__name__}, expected a linear layer: write "
                "merlin_models_torch.CrossBlock(depth, low_rank=width)"
            )
        return CoreCrossBlock(depth, low_rank=low_rank.out_features)

    def forward(self, inputs: Any, batch: Batch | None = None) -> Tensor:
        """Crosses a tensor, or several by name put side by side in the order of their names."""
        first = concatenated(inputs)
        hidden = first
        for index in range(len(self)):
            output, _ = self.step(index, hidden, batch)
            hidden = first * output + hidden
        return hidden


__getattr__ = served(__name__)
