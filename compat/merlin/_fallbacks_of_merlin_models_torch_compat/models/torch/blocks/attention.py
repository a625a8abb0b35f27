"""``merlin.models.torch.blocks.attention``: a sequence that attends to a context."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from merlin.models._legacy import legacy
from merlin.models.torch.block import Block
from torch import Tensor, nn

from merlin_models_torch.batch import Batch


@legacy
class CrossAttentionBlock(Block):
    """Before each module the sequence attends to the context by torch's own attention.

    The core's block of this name makes the attention itself (``dim=``, ``heads=``).

    Args:
        *module: what follows each attention.
        attention: the first of them; made of the first module's ``d_model``, ``nhead`` and ``dropout`` if not
            given.
        name: shown when the block is printed.
        key: name of the context among the inputs.
        seq_key: name of the sequence; the other one of two if not given.

    Raises:
        ValueError: if there is no attention, and no module tells its size.
    """

    def __init__(
        self,
        *module: nn.Module,
        attention: nn.MultiheadAttention | None = None,
        name: str | None = None,
        key: str = "context",
        seq_key: str | None = None,
    ) -> None:
        super().__init__(*module, name=name)
        self.key, self.seq_key = key, seq_key
        first = attention if attention is not None else _like(module)
        further = range(len(module) - 1)
        self.cross_attention = nn.ModuleList([first, *(copy.deepcopy(first) for _ in further)])

    def forward(self, inputs: Any, batch: Batch | None = None) -> Tensor:
        """(B, T, D) of a context and a sequence by name.

        Raises:
            ValueError: if the two are not there by name.
        """
        if not isinstance(inputs, Mapping) or self.key not in inputs:
            raise ValueError(f"attention to a context takes tensors by name, among them {self.key!r}")
        others = [name for name in inputs if name != self.key]
        name = self.seq_key or (others[0] if len(others) == 1 else None)
        if name not in inputs:
            raise ValueError(f"the sequence is {name!r}, the inputs are {sorted(inputs)}: give seq_key")
        hidden: Any = inputs[name]
        for index in range(len(self)):
            attended, _ = self.cross_attention[index](hidden, inputs[self.key], inputs[self.key])
            hidden, _ = self.step(index, attended, batch)
        return hidden  # type: ignore[no-any-return]


def _like(modules: tuple[nn.Module, ...]) -> nn.MultiheadAttention:
    first: Any = modules[0] if modules else None
    if not all(hasattr(first, name) for name in ("d_model", "nhead", "dropout")):
        raise ValueError("no attention is given, and the first module has no d_model, nhead and dropout")
    return nn.MultiheadAttention(first.d_model, first.nhead, first.dropout)
