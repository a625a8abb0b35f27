"""Attention of a sequence to something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.attention import View, attend, check_heads
from merlin_models_torch.blocks.base import Block
from merlin_models_torch.serialize import serializable


class CrossAttention(nn.Module):
    """Attention of each position of a sequence to a context (Vaswani et al. 2017, section 3.2.3).

    Args:
        dim: width D of the sequence and the outputs.
        heads: must divide ``dim``.
        context_dim: width C of the context; taken from the first one if not given.
        dropout: chance of an attention weight to be dropped in training.
    """

    def __init__(self, dim: int, *, heads: int, context_dim: int | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.LazyLinear(2 * dim) if context_dim is None else nn.Linear(context_dim, 2 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, hidden: Tensor, context: Tensor, inside: Tensor | None = None) -> Tensor:
        """Attends.

        Args:
            hidden: (B, T, D).
            context: (B, S, C).
            inside: (B, S) bool, positions of the context in use; all if not given.

        Returns:
            (B, T, D).
        """
        batch, steps, dim = hidden.shape
        query = self.query(hidden).view(batch, steps, self.heads, -1).transpose(1, 2)
        both = self.key_value(context).view(batch, context.shape[1], 2, self.heads, -1)
        key, value = both.permute(2, 0, 3, 1, 4).unbind(0)
        view = View(mask=None if inside is None else inside[:, None])
        mixed = attend(query, key, value, view=view, probability=self.dropout, training=self.training)
        return self.out(mixed.transpose(1, 2).reshape(batch, steps, dim))  # type: ignore[no-any-return]


@serializable
class CrossAttentionBlock(Block):
    """Before each module, the sequence attends to a context; the module gets the result.

    The context is seen whole by every position: with causal masking it must not hold what comes later.

    Args:
        *modules: of (B, T, D) each. Without any there is one attention and nothing after it.
        dim: width D of the sequence.
        heads: attention heads, must divide ``dim``.
        context_dim: width of the context; taken from the first one if not given.
        dropout: of attention weights, in training.
        key: name of the context among the inputs.
        seq_key: name of the sequence; if not given, the one that is not the context.
        context_column: list column of the batch that the context was made of. Its lengths say which positions
            of the context are in use; all are without it.
        residual: add the sequence to what attention gives.

    Raises:
        ValueError: if ``heads`` does not divide ``dim``.

    Example:
        >>> block = CrossAttentionBlock(nn.Linear(8, 8), dim=8, heads=2)
        >>> block({"context": torch.zeros(3, 4, 6), "sequence": torch.zeros(3, 5, 8)}).shape
        torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        *modules: nn.Module,
        dim: int,
        heads: int,
        context_dim: int | None = None,
        dropout: float = 0.0,
        key: str = "context",
        seq_key: str | None = None,
        context_column: str | None = None,
        residual: bool = False,
    ) -> None:
        self._options: dict[str, Any] = {
            "dim": dim,
            "heads": heads,
            "context_dim": context_dim,
            "dropout": dropout,
            "key": key,
            "seq_key": seq_key,
            "context_column": context_column,
            "residual": residual,
        }
        super().__init__()
        self.key = key
        self.seq_key = seq_key
        self.context_column = context_column
        self.residual = residual
        self.attention = nn.ModuleList()
        for module in modules:
            self.append(module)
        if not modules:
            self.attention.append(self._new_attention())

    def _new_attention(self) -> CrossAttention:
        options = {name: self._options[name] for name in ("heads", "context_dim", "dropout")}
        return CrossAttention(self._options["dim"], **options)

    def insert(self, index: int, module: nn.Module) -> CrossAttentionBlock:
        """Adds a module, with an attention of its own before it, before position ``index``."""
        super().insert(index, module)
        if len(self.attention) < len(self):
            self.attention.insert(index, self._new_attention())
        return self

    def forward(self, inputs: Mapping[str, Tensor], batch: Batch | None = None) -> Tensor:
        """Runs attention and modules in turn.

        Args:
            inputs: the sequence (B, T, D), and the context (B, S, C), or (B, C) for a single position.
            batch: passed to the modules that ask for it; needed for ``context_column``.

        Returns:
            (B, T, D).

        Raises:
            ValueError: if context or sequence are missing or not clear.
        """
        sequence, context = self._parts(inputs)
        if context.dim() == 2:
            context = context[:, None]
        inside = self._inside(context, batch)
        for index, attention in enumerate(self.attention):
            mixed = attention(sequence, context, inside)
            sequence = sequence + mixed if self.residual else mixed
            if index < len(self):
                sequence, _ = self.step(index, sequence, batch)
        return sequence

    def _parts(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        if not isinstance(inputs, Mapping):
            raise TypeError(
                f"cross-attention got a {type(inputs).__name__}, expected a dict of sequence and context"
            )
        others = [name for name in inputs if name != self.key]
        name = self.seq_key or (others[0] if len(others) == 1 else None)
        if self.key not in inputs or name is None or name not in inputs:
            raise ValueError(
                f"cross-attention of {name or 'a sequence'!r} to {self.key!r} got {sorted(inputs)}: name the "
                "two by seq_key and key"
            )
        return inputs[name], inputs[self.key]

    def _inside(self, context: Tensor, batch: Batch | None) -> Tensor | None:
        if self.context_column is None:
            return None
        if batch is None:
            raise ValueError(
                f"the lengths of the context come from the column {self.context_column!r} of the batch: pass "
                "the batch"
            )
        lengths = batch.lengths(self.context_column)
        return torch.arange(context.shape[1], device=context.device) < lengths[:, None]

    def init_arguments(self) -> dict[str, Any]:
        """What builds this block again."""
        return {**super().init_arguments(), **self._options}
