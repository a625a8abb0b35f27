"""Recurrent bodies: GRU and LSTM over sequences, padded positions left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.attention import plan_of
from merlin_models_torch.blocks.dropout import Dropout
from merlin_models_torch.blocks.lazy_recurrent import LazyGRU, LazyLSTM
from merlin_models_torch.masking.sight import Sight
from merlin_models_torch.serialize import serializable


class RecurrentBlock(nn.Module):
    """What GRU and LSTM blocks have in common; the arguments are theirs."""

    layer: ClassVar[Callable[..., nn.RNNBase]]
    lazy_layer: ClassVar[Callable[..., nn.RNNBase]]

    def __init__(
        self,
        dim: int,
        *,
        in_features: int | None = None,
        layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        any_masking: bool = False,
        over_rows: bool = False,
    ) -> None:
        super().__init__()
        if dim < 1 or layers < 1:
            raise ValueError(f"dim is {dim} and layers is {layers}, expected at least 1 of each")
        if bidirectional and dim % 2:
            raise ValueError(f"dim is {dim}, expected an even width, half of it for each direction")
        options: dict[str, Any] = {
            "hidden_size": dim // 2 if bidirectional else dim,
            "num_layers": layers,
            "batch_first": not over_rows,
            "dropout": dropout if layers > 1 else 0.0,
            "bidirectional": bidirectional,
        }
        cls = type(self)
        self.recurrent = (
            cls.lazy_layer(**options) if in_features is None else cls.layer(in_features, **options)
        )
        self.dropout = Dropout(dropout)
        self.dim = dim
        self.bidirectional = bidirectional
        self.any_masking = any_masking
        self.over_rows = over_rows

    def forward(self, inputs: Tensor, batch: Batch | None = None) -> Tensor:
        """Runs over the positions in use.

        Args:
            inputs: (B, T, S) float, padded on the right.
            batch: with the plan that says how many positions of each row are in use; all without it.

        Returns:
            (B, T, D), the hidden state at each position; 0 where not in use.

        Raises:
            ValueError: if the plan does not fit the block's directions, or has another number of positions.
        """
        plan = plan_of(inputs, batch, sight=self._sight())
        steps = inputs.shape[1]
        if not steps:
            # torch's layers refuse what a batch without any item gives.
            return inputs.new_zeros(len(inputs), 0, self.dim)
        if plan is None:
            return self.dropout(self.recurrent(inputs)[0])  # type: ignore[no-any-return]
        if self.bidirectional and not self.over_rows:
            # From right to left padding would come first, so it has to be cut off; from left to right it is
            # only met after the last position in use.
            if _is_exporting():
                return self._masked(both_ways(self.recurrent, inputs, plan.lengths), plan.lengths)
            lengths = plan.lengths.clamp(min=1).cpu()
            packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
            states = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True, total_length=steps)[0]
        else:
            states = self.recurrent(inputs)[0]
        return self._masked(states, plan.lengths)

    def _masked(self, states: Tensor, lengths: Tensor) -> Tensor:
        outside = torch.arange(states.shape[1], device=states.device) >= lengths[:, None]
        return self.dropout(states.masked_fill(outside[..., None], 0))  # type: ignore[no-any-return]

    def _sight(self) -> Sight:
        name = type(self).__name__
        if self.any_masking:
            return Sight(name, frozenset({"causal", "full"}))
        if self.bidirectional:
            return Sight(
                f"{name} with bidirectional=True",
                frozenset({"full"}),
                remedies={"causal": "bidirectional=False"},
            )
        return Sight(name, frozenset({"causal"}), remedies={"full": "bidirectional=True"})


def _is_exporting() -> bool:
    # torch 2.6 does not tell.
    told = getattr(torch.compiler, "is_exporting", None)
    return told is not None and bool(told())


def both_ways(layer: nn.RNNBase, inputs: Tensor, lengths: Tensor) -> Tensor:
    """What a layer of two directions gives for the positions in use, without packing them, for a graph.

    Of the direction from right to left each row is turned round within its length, and so is what it gives.

    Args:
        layer: a GRU or LSTM, batch first, in evaluation mode.
        inputs: (B, T, S) float.
        lengths: (B,) int64 positions in use.

    Returns:
        (B, T, D); without meaning at positions not in use.
    """
    steps = torch.arange(inputs.shape[1], device=inputs.device)
    turned = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)[..., None]
    run = torch.lstm if isinstance(layer, nn.LSTM) else torch.gru
    start: Any = inputs.new_zeros(1, inputs.shape[0], layer.hidden_size)
    if isinstance(layer, nn.LSTM):
        start = (start, start)
    states = inputs
    for number in range(layer.num_layers):
        found = []
        for suffix in ("", "_reverse"):
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            weights = [getattr(layer, f"{name}_l{number}{suffix}") for name in names]
            given = states.gather(1, turned.expand_as(states)) if suffix else states
            one = run(given, start, weights, True, 1, 0.0, False, False, True)[0]
            found.append(one.gather(1, turned.expand_as(one)) if suffix else one)
        states = torch.cat(found, 2)
    return states


@serializable
class GRUBlock(RecurrentBlock):
    """Gated recurrent units over the sequence (Cho et al. 2014; for sessions Hidasi et al. 2016, GRU4Rec).

    Causal by nature: the state at a position depends on this position and earlier ones only. So it fits
    causal masking; masking that hides items between others needs ``bidirectional``.

    Args:
        dim: width D of the outputs.
        in_features: width S of the inputs; taken from the first batch if not given.
        layers: one upon the other.
        dropout: between layers and of the outputs, in training.
        bidirectional: half of the width runs from right to left.
        any_masking: (legacy) work under any masking: one direction under one that hides items between others
            (they are predicted from the left only), or both under a causal one (the target leaks).
        over_rows: (legacy) the recurrence runs over the sessions of a batch instead of the positions, as that
            of a ``torch.nn.GRU`` without ``batch_first`` does: a session's states depend on those before it.

    Raises:
        ValueError: if a size is not positive, or odd for two directions.

    Example:
        >>> GRUBlock(8)(torch.zeros(3, 5, 4)).shape
        torch.Size([3, 5, 8])
    """

    layer = nn.GRU
    lazy_layer = LazyGRU


@serializable
class LSTMBlock(RecurrentBlock):
    """Long short-term memory over the sequence (Hochreiter and Schmidhuber 1997).

    Causal by nature, as :class:`GRUBlock`.

    Args:
        dim: width D of the outputs.
        in_features: width S of the inputs; taken from the first batch if not given.
        layers: one upon the other.
        dropout: between layers and of the outputs, in training.
        bidirectional: half of the width runs from right to left.
        any_masking: (legacy) as for :class:`GRUBlock`.
        over_rows: (legacy) as for :class:`GRUBlock`.

    Raises:
        ValueError: if a size is not positive, or odd for two directions.

    Example:
        >>> LSTMBlock(8)(torch.zeros(3, 5, 4)).shape
        torch.Size([3, 5, 8])
    """

    layer = nn.LSTM
    lazy_layer = LazyLSTM
