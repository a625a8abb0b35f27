"""Attention that knows how far apart two positions are."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from merlin_models_torch.blocks.attention import check_heads
from merlin_models_torch.blocks.dropout import Dropout


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

    def forward(self, hidden: Tensor, positions: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attends, adds the input and normalises.

        Args:
            hidden: (B, T, D).
            positions: (2T, D) of :func:`relative_positions`.
            bias: (B, 1, T, T) of :func:`attention_bias`; everything is visible without it.

        Returns:
            (B, T, D).
        """
        weights, value = self._weights(hidden, positions, bias)
        return self._mixed(weights, value, hidden)

    def weights(self, hidden: Tensor, positions: Tensor, bias: Tensor | None = None) -> Tensor:
        """(B, H, T, T): how much each position (third) takes from each (last) in :meth:`forward`."""
        return self._weights(hidden, positions, bias)[0]

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
        weights, value = self._query_weights(queries, hidden, positions, visible)
        return self._mixed(weights, value, queries)

    def query_weights(
        self, queries: Tensor, hidden: Tensor, positions: Tensor, visible: tuple[Tensor, Tensor]
    ) -> Tensor:
        """(B, H, T, T): how much each query (third) takes from each item (last) in :meth:`queries`."""
        return self._query_weights(queries, hidden, positions, visible)[0]

    @property
    def _scale(self) -> float:
        # It goes into the query's weights and biases, which are smaller than the scores.
        return 1 / math.sqrt(self.r_w_bias.shape[1])

    def _weights(self, hidden: Tensor, positions: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        weights = torch.cat([self.q.flatten(1) * self._scale, self.k.flatten(1), self.v.flatten(1)], 1)
        query, key, value = _heads(hidden @ weights, 3, *self.r_w_bias.shape).unbind(2)
        scores = self._scores(query, key, positions)
        return (scores if bias is None else scores + bias).softmax(-1), value

    def _query_weights(
        self, queries: Tensor, hidden: Tensor, positions: Tensor, visible: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        query = _heads(queries @ (self.q.flatten(1) * self._scale), *self.r_w_bias.shape)
        weights = torch.cat([self.k.flatten(1), self.v.flatten(1)], 1)
        key, value = _heads(hidden @ weights, 2, *self.r_w_bias.shape).unbind(2)
        bias, some = visible
        return (self._scores(query, key, positions) + bias).softmax(-1) * some, value

    def _scores(self, query: Tensor, key: Tensor, positions: Tensor) -> Tensor:
        """(B, H, T, T) of scaled queries and keys (B, T, H, d)."""
        distance = _heads(positions.to(query.dtype) @ self.r.flatten(1), *self.r_w_bias.shape)
        scores = _content_scores(query + self.r_w_bias * self._scale, key)
        return scores + _distance_scores(query + self.r_r_bias * self._scale, distance)

    def _mixed(self, weights: Tensor, value: Tensor, before: Tensor) -> Tensor:
        """Values mixed by the weights and projected, added to what was before, and normalised."""
        mixed = torch.matmul(self.dropout(weights).to(value.dtype), value.transpose(1, 2))
        mixed = mixed.transpose(1, 2).flatten(2)
        result: Tensor = self.layer_norm(self.dropout(mixed @ self.o.flatten(1).T) + before)
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
