"""Values exchanged by chance, against overfitting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import overload

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Column, Ragged
from merlin_models_torch.serialize import serializable


@serializable
class StochasticSwapNoise(nn.Module):
    """In training, each value of a column becomes by chance one that the column has elsewhere in the batch.

    Padding stays where it is and is never put anywhere. Every column is treated on its own (the swap noise of
    denoising autoencoders; Transformers4Rec's block of this name).

    Args:
        probability: chance of a value to be exchanged.
        padding: value that stands for nothing.

    Raises:
        ValueError: if the probability is not in [0, 1].

    Example:
        >>> ids = torch.tensor([[4, 5, 0], [6, 0, 0]])
        >>> noisy = StochasticSwapNoise(0.5)(ids)
        >>> torch.equal(noisy == 0, ids == 0), set(noisy[ids != 0].tolist()) <= {4, 5, 6}
        (True, True)
        >>> StochasticSwapNoise(0.5).eval()(ids) is ids
        True
    """

    def __init__(self, probability: float = 0.1, *, padding: float = 0) -> None:
        super().__init__()
        if not 0 <= probability <= 1:
            raise ValueError(f"probability is {probability}, expected a number from 0 to 1")
        self.probability = probability
        self.padding = padding

    @overload
    def forward(self, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor: ...
    @overload
    def forward(self, inputs: Ragged, generator: torch.Generator | None = None) -> Ragged: ...
    @overload
    def forward(
        self, inputs: Mapping[str, Column], generator: torch.Generator | None = None
    ) -> dict[str, Column]: ...
    def forward(
        self, inputs: Column | Mapping[str, Column], generator: torch.Generator | None = None
    ) -> Column | dict[str, Column]:
        """Exchanges values.

        Args:
            inputs: (B,), (B, T) or ragged, or several by name.
            generator: makes the random choices.

        Returns:
            The same kind and shape; the inputs themselves are not changed.
        """
        if isinstance(inputs, Mapping):
            return {name: self.swapped(column, generator) for name, column in inputs.items()}
        return self.swapped(inputs, generator)

    def swapped(self, column: Column, generator: torch.Generator | None = None) -> Column:
        """One column, as in :meth:`forward`."""
        if not self.training or not self.probability:
            return column
        if isinstance(column, Ragged):
            return Ragged(self._values(column.values, generator), column.offsets)
        return self._values(column, generator)

    def _values(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        used = (values != self.padding) & ~values.isnan()
        candidates = values[used]
        if not len(candidates):
            return values
        device = values.device
        chosen = torch.rand(len(candidates), generator=generator, device=device) < self.probability
        source = torch.randint(len(candidates), (len(candidates),), generator=generator, device=device)
        result = values.clone()
        result[used] = torch.where(chosen, candidates[source], candidates)
        return result
