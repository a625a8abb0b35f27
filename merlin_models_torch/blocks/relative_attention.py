"""Attention that knows how far apart two positions are."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from merlin_models_torch.blocks.attention import check_heads
from merlin_models_torch.blocks.dropout import Dropout
from merlin_models_torch.blocks.linear import linear
from merlin_models_torch.blocks.packing import Packing


def relative_positions(steps: int, dim: int, *, device: torch.device | None = None) -> Tensor:
    """Sinusoids of the distances from ``steps`` down to ``1 - steps`` (Dai et al. 2019, section 3.3).

    Args:
        steps: positions T of the sequence.
        dim: width D, even.
        device: where to make them.

    Returns:
        (2T, D) float32; row ``m`` is for a key ``T - m`` positions before its query.
    """
    distances = torch.arange(steps, -steps, -1, device=device, dtype=torch.float32)
    frequencies = 1 / torch.pow(10000, torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)
    angles = distances[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1)


def attention_bias(visible: Tensor) -> Tensor:
    """What to add to attention scores so that only visible positions count; each always sees itself.

    Args:
        visible: (B, 1, T) or (B, T, T) bool.

    Returns:
        (B, 1, T, T) float32, 0 where visible and minus infinity elsewhere.
    """
    steps = torch.arange(visible.shape[-1], device=visible.device)
    allowed = (visible | (steps == steps[:, None]))[:, None]
    return torch.zeros_like(allowed, dtype=torch.float32).masked_fill_(~allowed, -math.inf)


def query_bias(visible: Tensor) -> tuple[Tensor, Tensor]:
    """The same for queries, which do not see themselves, so that there may be some that see nothing.

    Args:
        visible: (B, T, T) bool.

    Returns:
        (B, 1, T, T) float32, 0 where visible and minus infinity elsewhere, but 0 in rows of those that see
        nothing; and (B, 1, T, 1) bool, which queries see anything.
    """
    some = visible.any(-1, keepdim=True)
    bias = torch.zeros_like(visible, dtype=torch.float32).masked_fill_(some & ~visible, -math.inf)
    return bias[:, None], some[:, None]


class AttentionParameters(Protocol):
    """What the formula reads, under Hugging Face's names; see :class:`RelativeAttention` for the shapes."""

    @property
    def q(self) -> Tensor: ...
    @property
    def k(self) -> Tensor: ...
    @property
    def v(self) -> Tensor: ...
    @property
    def o(self) -> Tensor: ...
    @property
    def r(self) -> Tensor: ...
    @property
    def r_r_bias(self) -> Tensor: ...
    @property
    def r_w_bias(self) -> Tensor: ...
    @property
    def layer_norm(self) -> nn.Module: ...
    @property
    def dropout(self) -> nn.Module: ...


def relative_attention(
    attention: AttentionParameters,
    hidden: Tensor,
    positions: Tensor,
    bias: Tensor | None = None,
    packing: Packing | None = None,
) -> Tensor:
    """:meth:`RelativeAttention.forward` with the parameters of any module that has them.

    Args:
        attention: the parameters.
        hidden: (B, T, D), or (N, D) packed.
        positions: (2T, D) of :func:`relative_positions`.
        bias: (B, 1, T, T) of :func:`attention_bias`; everything is visible without it.
        packing: how the inputs are packed, if they are.

    Returns:
        (B, T, D), or (M, D) packed.
    """
    weights, value = _weights(attention, hidden, positions, bias, packing)
    return _mixed(attention, weights, value, hidden, packing)


class RelativeAttention(nn.Module):
    """Attention by content and by distance (Dai et al. 2019, section 3.3; Yang et al. 2019, section 2.2).

    Parameters have the names and shapes of Hugging Face's ``XLNetRelativeAttention``. ``r_s_bias`` and
    ``seg_embed`` are for segments, which sessions do not have: they are kept, and not trained.

    Args:
        dim: width D.
        heads: H, must divide ``dim``.
        dropout: of attention weights and of the result, in training.
        layer_norm_eps: added to the variance.
    """

    def __init__(self, dim: int, *, heads: int, dropout: float, layer_norm_eps: float) -> None:
        super().__init__()
        check_heads(dim, heads)
        width = dim // heads
        self.q = nn.Parameter(torch.empty(dim, heads, width))
        self.k = nn.Parameter(torch.empty(dim, heads, width))
        self.v = nn.Parameter(torch.empty(dim, heads, width))
        self.o = nn.Parameter(torch.empty(dim, heads, width))
        self.r = nn.Parameter(torch.empty(dim, heads, width))
        self.r_r_bias = nn.Parameter(torch.empty(heads, width))
        self.r_s_bias = nn.Parameter(torch.empty(heads, width), requires_grad=False)
        self.r_w_bias = nn.Parameter(torch.empty(heads, width))
        self.seg_embed = nn.Parameter(torch.empty(2, heads, width), requires_grad=False)
        self.layer_norm = nn.LayerNorm(dim, eps=layer_norm_eps)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        hidden: Tensor,
        positions: Tensor,
        bias: Tensor | None = None,
        packing: Packing | None = None,
    ) -> Tensor:
        """Attends, adds the input and normalises.

        Args:
            hidden: (B, T, D), or (N, D) packed.
            positions: (2T, D) of :func:`relative_positions`.
            bias: (B, 1, T, T) of :func:`attention_bias`; everything is visible without it.
            packing: how the inputs are packed, if they are.

        Returns:
            (B, T, D), or (M, D) packed.
        """
        return relative_attention(self, hidden, positions, bias, packing)

    def weights(self, hidden: Tensor, positions: Tensor, bias: Tensor | None = None) -> Tensor:
        """(B, H, T, T): how much each position (third) takes from each (last) in :meth:`forward`."""
        return _weights(self, hidden, positions, bias)[0]

    def queries(
        self, queries: Tensor, hidden: Tensor, positions: Tensor, visible: tuple[Tensor, Tensor]
    ) -> Tensor:
        """The second stream: each position's query attends to the items, not to other queries.

        Args:
            queries: (B, T, D), which know positions and not their items.
            hidden: (B, T, D), the items, before this layer.
            positions: (2T, D) of :func:`relative_positions`.
            visible: of :func:`query_bias`.

        Returns:
            (B, T, D); a query that sees nothing takes nothing from the items.
        """
        weights, value = _query_weights(self, queries, hidden, positions, visible)
        return _mixed(self, weights, value, queries)

    def query_weights(
        self, queries: Tensor, hidden: Tensor, positions: Tensor, visible: tuple[Tensor, Tensor]
    ) -> Tensor:
        """(B, H, T, T): how much each query (third) takes from each item (last) in :meth:`queries`."""
        return _query_weights(self, queries, hidden, positions, visible)[0]


def _scale(attention: AttentionParameters) -> float:
    # It goes into the query's weights and biases, which are smaller than the scores. No math.sqrt: sizes are
    # no numbers while a program is traced.
    scale: float = attention.r_w_bias.shape[1] ** -0.5
    return scale


def _weights(
    attention: AttentionParameters,
    hidden: Tensor,
    positions: Tensor,
    bias: Tensor | None,
    packing: Packing | None = None,
) -> tuple[Tensor, Tensor]:
    of_query = attention.q.flatten(1) * _scale(attention)
    weights = torch.cat([of_query, attention.k.flatten(1), attention.v.flatten(1)], 1).t()
    vectors = linear(hidden, weights)
    if packing is not None:
        vectors = packing.padded(vectors)
    query, key, value = _heads(vectors, 3, *attention.r_w_bias.shape).unbind(2)
    scores = _scores(attention, query, key, positions)
    return (scores if bias is None else scores + bias).softmax(-1), value


def _query_weights(
    attention: AttentionParameters,
    queries: Tensor,
    hidden: Tensor,
    positions: Tensor,
    visible: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor]:
    sizes = attention.r_w_bias.shape
    query = _heads(linear(queries, (attention.q.flatten(1) * _scale(attention)).t()), *sizes)
    weights = torch.cat([attention.k.flatten(1), attention.v.flatten(1)], 1).t()
    key, value = _heads(linear(hidden, weights), 2, *sizes).unbind(2)
    bias, some = visible
    return (_scores(attention, query, key, positions) + bias).softmax(-1) * some, value


def _scores(attention: AttentionParameters, query: Tensor, key: Tensor, positions: Tensor) -> Tensor:
    """(B, H, T, T) of scaled queries and keys (B, T, H, d)."""
    scale = _scale(attention)
    distance = _heads(positions.to(query.dtype) @ attention.r.flatten(1), *attention.r_w_bias.shape)
    scores = _content_scores(query + attention.r_w_bias * scale, key)
    return scores + _distance_scores(query + attention.r_r_bias * scale, distance)


def _mixed(
    attention: AttentionParameters,
    weights: Tensor,
    value: Tensor,
    before: Tensor,
    packing: Packing | None = None,
) -> Tensor:
    """Values mixed by the weights and projected, added to what was before, and normalised."""
    mixed = torch.matmul(attention.dropout(weights).to(value.dtype), value.transpose(1, 2))
    mixed = mixed.transpose(1, 2).flatten(2)
    if packing is not None:
        mixed, before = packing.packed(mixed), packing.kept(before)
    result: Tensor = attention.layer_norm(attention.dropout(linear(mixed, attention.o.flatten(1))) + before)
    return result


def _heads(vectors: Tensor, *sizes: int) -> Tensor:
    """(..., D) with the last dimension as several."""
    return vectors.view(*vectors.shape[:-1], *sizes)


def _content_scores(query: Tensor, key: Tensor) -> Tensor:
    """(B, T, H, d) twice to (B, H, T, T)."""
    return torch.matmul(query.transpose(1, 2), key.permute(0, 2, 3, 1))


def _distance_scores(query: Tensor, distance: Tensor) -> Tensor:
    """The product of each query with the vector of its distance to each key.

    For one position the distances to all keys are a window of ``distance``, the same for the whole batch: one
    matrix product per position and head, which computes only the scores that are needed and shifts nothing.

    Args:
        query: (B, T, H, d).
        distance: (2T, H, d).

    Returns:
        (B, H, T, T).
    """
    batch, count, heads, width = query.shape
    steps = torch.arange(count, device=query.device)
    windows = distance[count - steps[:, None] + steps]  # (T, T, H, d)
    queries = query.permute(1, 2, 0, 3).reshape(count * heads, batch, width)
    scores = torch.bmm(queries, windows.permute(0, 2, 3, 1).reshape(count * heads, width, count))
    return scores.view(count, heads, batch, count).permute(2, 1, 0, 3)
