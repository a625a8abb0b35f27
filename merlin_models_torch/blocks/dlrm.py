"""The interaction of embeddings and numbers in DLRM."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.base import call, takes_batch
from merlin_models_torch.blocks.interactions import DotInteraction
from merlin_models_torch.blocks.join import concatenated, stacked
from merlin_models_torch.serialize import serializable


@serializable
class DLRMBlock(nn.Module):
    """Dot products of all pairs of feature vectors, beside the vector of the numbers (Naumov et al. 2019).

    The numbers go through the bottom block to the width of the embeddings and count as one more vector. The
    products of all pairs, with that vector put before them, go through the top block.

    Args:
        bottom: from the numbers to width D; not needed if there are none, or if they have width D already.
        top: what follows the interaction.
        interaction: of (B, F, D) to (B, P); :class:`DotInteraction` if not given.
        continuous: name of the numbers among the inputs.

    Example:
        >>> block = DLRMBlock(bottom=nn.Linear(3, 4))
        >>> inputs = {"continuous": torch.ones(2, 3), "item": torch.ones(2, 4), "user": torch.ones(2, 4)}
        >>> block(inputs).shape  # 4 for the numbers, 3 pairs
        torch.Size([2, 7])
    """

    def __init__(
        self,
        *,
        bottom: nn.Module | None = None,
        top: nn.Module | None = None,
        interaction: nn.Module | None = None,
        continuous: str = "continuous",
    ) -> None:
        super().__init__()
        self.bottom = bottom
        self.interaction = DotInteraction() if interaction is None else interaction
        self.top = top
        self.continuous = continuous
        self._bottom_takes_batch = bottom is not None and takes_batch(bottom)
        self._top_takes_batch = top is not None and takes_batch(top)

    def forward(self, inputs: Mapping[str, Tensor], batch: Batch | None = None) -> Tensor:
        """Runs the parts.

        Args:
            inputs: embeddings (B, D) by name, and numbers (B, C) under the name of ``continuous``.
            batch: passed to the bottom and top block if they ask for it.

        Returns:
            (B, D + P) without a top block, (B, P) if there are no numbers; else what the top block gives.

        Raises:
            ValueError: if there is a bottom block and no numbers, or the widths differ.
        """
        vectors = dict(inputs)
        if self.bottom is not None:
            if self.continuous not in vectors:
                raise ValueError(
                    f"the DLRM block has a bottom block for {self.continuous!r}, which is not among the "
                    f"inputs {sorted(vectors)}: name the numbers so, or leave out the bottom block"
                )
            numbers = concatenated({self.continuous: vectors[self.continuous]})
            vectors[self.continuous] = call(self.bottom, numbers, batch, takes=self._bottom_takes_batch)
        outputs: Tensor = self.interaction(stacked(vectors))
        if self.continuous in vectors:
            outputs = torch.cat([vectors[self.continuous], outputs], -1)
        if self.top is not None:
            outputs = call(self.top, outputs, batch, takes=self._top_takes_batch)
        return outputs
