"""``merlin.models.torch.blocks.cross``: products of features of bounded degree."""

from __future__ import annotations

import copy
from typing import Any

import torch
from merlin.models._legacy import legacy, served
from merlin.models.torch.batch import Batch
from merlin.models.torch.block import Block
from merlin.models.torch.transforms.agg import Concat
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter


@legacy
class LazyMirrorLinear(LazyModuleMixin, nn.Linear):  # type: ignore[misc]
    """A linear layer that gives the width that it first gets.

    Args:
        bias: whether it has one.
        device: of its weights.
        dtype: of its weights.
    """

    cls_to_become = nn.Linear

    def __init__(self, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, False)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draws the weights, once they have a size."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Gives the weights their size."""
        if not self.has_uninitialized_params():
            return
        with torch.no_grad():
            self.in_features = input.shape[-1]
            self.out_features = self.out_features or self.in_features
            self.weight.materialize((self.out_features, self.in_features))  # type: ignore[union-attr,operator]
            if self.bias is not None:
                self.bias.materialize((self.out_features,))  # type: ignore[union-attr,operator]
            self.reset_parameters()


@legacy
class CrossBlock(Block):
    """``first * module(hidden) + hidden`` for each module: DCN-v2 (Wang et al. 2021, equation 1).

    Args:
        *module: each gives the width that it gets; :meth:`with_depth` makes linear ones.
        name: shown when the block is printed.
    """

    def __init__(self, *module: nn.Module, name: str | None = None) -> None:
        super().__init__(*module, name=name)
        self.concat = Concat()
        self.init_hook_handle = self.register_forward_pre_hook(self.initialize)

    @classmethod
    def with_depth(cls, depth: int) -> Any:
        """Linear layers of the width that comes in.

        Raises:
            ValueError: if ``depth`` is less than 1.
        """
        if not depth > 0:
            raise ValueError(f"depth is {depth}, expected at least 1")
        return cls(*Block(LazyMirrorLinear()).repeat(depth))

    @classmethod
    def with_low_rank(cls, depth: int, low_rank: nn.Module) -> Any:
        """Each a copy of a narrow layer, and a linear one back to the width (equation 2)."""
        return cls(*(Block(copy.deepcopy(low_rank), *block) for block in cls.with_depth(depth)))

    def forward(self, inputs: Any, batch: Batch | None = None) -> Tensor:
        """Crosses a tensor, or several by name put side by side in the order of their names.

        Raises:
            RuntimeError: if a module gives no tensor.
        """
        first = self.concat(inputs) if isinstance(inputs, dict) else inputs
        hidden = first
        for module in self.values:
            output = module(hidden)
            if not isinstance(output, Tensor):
                raise RuntimeError(
                    f"{type(module).__name__} gave a {type(output).__name__}, expected a tensor"
                )
            hidden = first * output + hidden
        return hidden  # type: ignore[no-any-return]

    def initialize(self, module: Any, inputs: Any) -> None:
        """Tells the linear layers the width, before the first call."""
        first = self.concat(inputs[0]) if isinstance(inputs[0], dict) else inputs[0]
        for layer in self.modules():
            if isinstance(layer, LazyMirrorLinear):
                layer.out_features = first.shape[-1]
        self.init_hook_handle.remove()


__getattr__ = served(__name__)
