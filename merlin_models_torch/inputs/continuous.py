"""Continuous columns together as one vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from merlin_models_torch.blocks.activation import Activation
from merlin_models_torch.blocks.join import concatenated
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.serialize import serializable


@serializable
class ContinuousProjection(nn.Module):
    """Numbers of several columns, side by side in the order of their names, through linear layers.

    Args:
        units: width of each layer, or of the only one.
        columns: how many numbers there are; taken from the first batch if not given.
        activation: after each layer.
        normalize: normalise the numbers of each row before the first layer, over its columns (layer norm).
            Needs ``columns``.
        dropout: after each activation, in training.

    Raises:
        ValueError: if numbers are normalised and ``columns`` is not known, or below 2.

    Example:
        >>> ContinuousProjection(8)({"age": torch.ones(2), "price": torch.zeros(2)}).shape
        torch.Size([2, 8])
    """

    def __init__(
        self,
        units: int | Sequence[int],
        *,
        columns: int | None = None,
        activation: Activation = "relu",
        normalize: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if normalize and (columns is None or columns < 2):
            raise ValueError(f"columns is {columns}, expected 2 or more to normalise over")
        widths = [units] if isinstance(units, int) else list(units)
        self.norm = nn.LayerNorm(columns) if normalize and columns is not None else None
        self.mlp = MLPBlock(widths, in_features=columns, activation=activation, dropout=dropout)
        self.dim = widths[-1]

    def forward(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Projects numbers.

        Args:
            inputs: by name (B,) or (B, T) each, (B,) ones repeated at every position; or (B,) or (B, T) of a
                single column.

        Returns:
            (B, D) or (B, T, D), D the last of the units.
        """
        columns = {"": inputs} if isinstance(inputs, Tensor) else inputs
        joined = concatenated({name: column[..., None] for name, column in columns.items()})
        projected: Tensor = self.mlp(joined if self.norm is None else self.norm(joined))
        return projected
