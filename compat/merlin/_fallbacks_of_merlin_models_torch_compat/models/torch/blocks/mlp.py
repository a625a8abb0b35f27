"""``merlin.models.torch.blocks.mlp``: fully connected layers, of V2 and of V1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from merlin.models._legacy import legacy
from merlin.models.torch._parts import output_of_width
from merlin.models.torch.block import Block
from merlin.models.torch.schema import output_schema
from merlin.models.torch.transforms.agg import Concat, MaybeAgg
from torch import nn
from transformers4rec.torch.block.base import BuildableBlock


@BuildableBlock.register
@legacy
class MLPBlock(Block):
    """Linear layers, each followed by activation, normalisation and dropout.

    The core has the normalisation before the activation. V1's :class:`MLPBlock` is the same name: given to a
    block of V1, this builds V1's layers.

    Args:
        units: width of each layer, or of the one layer.
        activation: class or module, after each layer; None for none.
        normalization: "batchnorm" (or "batch_norm", as V1 said), a module, or None.
        dropout: rate or module, after each layer.
        pre_agg: what makes one tensor of a dict; they are put side by side if not given.
        use_bias: of V1.
        filter_features: of V1; has no effect.
        dimensions: V1's name of ``units``.

    Raises:
        ValueError: if the normalisation is not known, or there are no units.
    """

    def __init__(
        self,
        units: Sequence[int] | int | None = None,
        activation: Any = nn.ReLU,
        normalization: Any = None,
        dropout: Any = None,
        pre_agg: nn.Module | None = None,
        *,
        use_bias: bool = True,
        filter_features: Any = None,
        dimensions: Sequence[int] | int | None = None,
    ) -> None:
        given = units if dimensions is None else dimensions
        widths = [given] if isinstance(given, int) else list(given or ())
        if not widths:
            raise ValueError("an MLP needs at least one layer: give the widths of its layers")
        self._v1: dict[str, Any] = {
            "activation": activation,
            "use_bias": use_bias,
            "dropout": dropout,
            "normalization": "batch_norm" if normalization == "batchnorm" else normalization,
            "filter_features": filter_features,
        }
        layers: list[nn.Module] = [MaybeAgg(Concat()) if pre_agg is None else pre_agg]
        for width in widths:
            layers.append(nn.LazyLinear(width, bias=use_bias))
            layers.extend(_after(activation, normalization, dropout))
        super().__init__(*layers)
        self.units = widths
        self.out_features = widths[-1]

    def build(self, input_shape: Any) -> Any:
        """V1's layers for inputs of this size."""
        from transformers4rec.torch.block.mlp import MLPBlock as V1

        return V1(self.units, **self._v1).build(input_shape)

    @property
    def dimensions(self) -> list[int]:
        """V1's name of ``units``."""
        return self.units

    # A registered class inherits nothing: ``inputs >> MLPBlock([8])`` of V1.
    __rrshift__ = BuildableBlock.__rrshift__
    to_module = BuildableBlock.to_module


def _after(activation: Any, normalization: Any, dropout: Any) -> list[nn.Module]:
    made: list[nn.Module] = []
    if activation is not None:
        made.append(activation if isinstance(activation, nn.Module) else activation())
    if normalization in ("batchnorm", "batch_norm"):
        made.append(nn.LazyBatchNorm1d())
    elif isinstance(normalization, nn.Module):
        made.append(normalization)
    elif normalization:
        raise ValueError(f"normalization is {normalization!r}, expected 'batchnorm', a module or None")
    if dropout:
        made.append(dropout if isinstance(dropout, nn.Module) else nn.Dropout(dropout))
    return made


output_schema.register(MLPBlock, output_of_width)
