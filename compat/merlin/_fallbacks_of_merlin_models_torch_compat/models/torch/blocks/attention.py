"""``merlin.models.torch.blocks.attention``: a sequence that attends to a context."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from merlin.models._legacy import legacy
from merlin.models.torch.batch import Batch
from merlin.models.torch.block import Block
from merlin.models.torch.container import step
from torch import Tensor, nn


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
        # 23.12 had one more than modules, which is never called but has weights in the state dict.
        further = len(module) if len(module) > 1 else 0
        made = (m.copy() if hasattr(m, "copy") else copy.deepcopy(first) for m in module[:further])
        self.cross_attention = nn.ModuleList([first, *made])

    def forward(self, inputs: Any, batch: Batch | None = None) -> Tensor:
        """(B, T, D) of a context and a sequence by name.

        Raises:
            ValueError: if the two are not there by name.
            RuntimeError: if the sequence is not named where there are more than two.
        """
        if not isinstance(inputs, Mapping):
            raise ValueError(f"attention to a context takes tensors by name, among them {self.key!r}")
        context, sequence = self.get_context(inputs), self.get_seq(inputs)
        for module, attention in zip(self.values, self.cross_attention, strict=False):
            attended, _ = attention(sequence, context, context)
            sequence = step(module, attended, batch)
        return sequence

    def get_context(self, x: Mapping[str, Tensor]) -> Tensor:
        """The context."""
        return x[self.key]

    def get_seq(self, x: Mapping[str, Tensor]) -> Tensor:
        """The sequence."""
        others = [name for name in x if name != self.key]
        name = self.seq_key or (others[0] if len(x) == 2 else None)
        if name is None or name not in x:
            raise RuntimeError(f"the sequence is {name!r}, the inputs are {sorted(x)}: give seq_key")
        return x[name]


def _like(modules: tuple[nn.Module, ...]) -> nn.MultiheadAttention:
    first: Any = modules[0] if modules else None
    if not all(hasattr(first, name) for name in ("d_model", "nhead", "dropout")):
        raise ValueError("no attention is given, and the first module has no d_model, nhead and dropout")
    return nn.MultiheadAttention(first.d_model, first.nhead, first.dropout)
