"""Transformer-XL: relative positions, and segments that see the one before."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.activation import Activation
from merlin_models_torch.blocks.attention import check_even, check_heads, check_width, plan_of
from merlin_models_torch.blocks.dropout import Dropout
from merlin_models_torch.blocks.linear import Linear
from merlin_models_torch.blocks.relative_attention import attention_bias, relative_positions
from merlin_models_torch.blocks.transformer import FeedForward
from merlin_models_torch.masking.sight import Sight
from merlin_models_torch.serialize import serializable


class XLAttention(nn.Module):
    """Attention by content and by distance, also to a memory (Dai et al. 2019, sections 3.2 and 3.3).

    The score of a query with a key is ``(q + u) k + (q + v) W r``, r the sinusoids of their distance, divided
    by the root of the width of a head.

    Args:
        dim: width D, even.
        heads: H, must divide ``dim``.
        dropout: of attention weights, in training.
    """

    def __init__(self, dim: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.query = Linear(dim, dim, bias=False)
        self.key_value = Linear(dim, 2 * dim, bias=False)
        self.distance = Linear(dim, dim, bias=False)
        self.out = Linear(dim, dim, bias=False)
        self.content_bias = nn.Parameter(torch.empty(heads, dim // heads))
        self.distance_bias = nn.Parameter(torch.empty(heads, dim // heads))
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, memory: Tensor | None, bias: Tensor | None) -> Tensor:
        """Attends.

        Args:
            hidden: (B, T, D).
            memory: (B, M, D), the positions before these.
            bias: (B, 1, T, M + T) or (T, M + T), 0 where visible and minus infinity elsewhere.

        Returns:
            (B, T, D).
        """
        weights, value = self._weights(hidden, memory, bias)
        mixed = self.dropout(weights).to(value.dtype) @ value
        return self.out(mixed.transpose(1, 2).reshape(hidden.shape))  # type: ignore[no-any-return]

    def weights(self, hidden: Tensor, memory: Tensor | None, bias: Tensor | None) -> Tensor:
        """(B, H, T, M + T): how much each position (third) takes from each (last) in :meth:`forward`."""
        return self._weights(hidden, memory, bias)[0]

    def _weights(self, hidden: Tensor, memory: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """The weights, and the values (B, H, M + T, D / H) that they are for."""
        heads, width = self.content_bias.shape
        seen = hidden if memory is None else torch.cat([memory, hidden], 1)
        (batch, steps, _), total = hidden.shape, seen.shape[1]
        scale = 1 / math.sqrt(width)
        query = self.query(hidden).view(batch, steps, heads, width) * scale
        both = self.key_value(seen).view(batch, total, 2, heads, width)
        key, value = both.permute(2, 0, 3, 1, 4).unbind(0)
        scores = (query + self.content_bias * scale).transpose(1, 2) @ key.transpose(2, 3)
        scores = scores + self._distance_scores(query + self.distance_bias * scale, total)
        return (scores if bias is None else scores + bias).softmax(-1), value

    def _distance_scores(self, query: Tensor, total: int) -> Tensor:
        """(B, T, H, d) to (B, H, T, S): each query times the vector of its distance to each key."""
        batch, steps, heads, width = query.shape
        sinusoids = relative_positions(total, heads * width, device=query.device).to(query.dtype)
        vectors = self.distance(sinusoids).view(2 * total, heads, width)
        # The last query is at the last key, so query i is T - 1 - i positions before that.
        rows = steps - torch.arange(steps, device=query.device)[:, None]
        windows = vectors[rows + torch.arange(total, device=query.device)]  # (T, S, H, d)
        queries = query.permute(1, 2, 0, 3).reshape(steps * heads, batch, width)
        scores = torch.bmm(queries, windows.permute(0, 2, 3, 1).reshape(steps * heads, width, total))
        return scores.view(steps, heads, batch, total).permute(2, 1, 0, 3)


class TransformerXLLayer(nn.Module):
    """Attention and feed-forward, each with a residual connection and layer normalisation.

    Args:
        dim: width D.
        heads: attention heads.
        inner_dim: width of the feed-forward part.
        dropout: in training.
        activation: of the feed-forward part.
        norm: "post" normalises each sum, "pre" what goes into each part.
        layer_norm_eps: added to the variance.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        inner_dim: int,
        dropout: float,
        activation: Activation,
        norm: Literal["pre", "post"],
        layer_norm_eps: float,
    ) -> None:
        super().__init__()
        self.attention = XLAttention(dim, heads=heads, dropout=dropout)
        self.attention_norm = nn.LayerNorm(dim, eps=layer_norm_eps)
        self.ff = FeedForward(dim, inner_dim=inner_dim, dropout=dropout, activation=activation)
        self.ff_norm = nn.LayerNorm(dim, eps=layer_norm_eps)
        self.dropout = Dropout(dropout)
        self.norm = norm

    def forward(self, hidden: Tensor, memory: Tensor | None, bias: Tensor | None) -> Tensor:
        """(B, T, D) to (B, T, D); the arguments are those of :class:`XLAttention`."""
        mixed = self.attention(*self._normed(hidden, memory), bias)
        if self.norm == "pre":
            hidden = hidden + self.dropout(mixed)
            return hidden + self.dropout(self.ff(self.ff_norm(hidden)))  # type: ignore[no-any-return]
        hidden = self.attention_norm(hidden + self.dropout(mixed))
        return self.ff_norm(hidden + self.dropout(self.ff(hidden)))  # type: ignore[no-any-return]

    def weights(self, hidden: Tensor, memory: Tensor | None, bias: Tensor | None) -> Tensor:
        """(B, H, T, M + T) attention weights of :meth:`forward`."""
        return self.attention.weights(*self._normed(hidden, memory), bias)

    def _normed(self, hidden: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if self.norm == "post":
            return hidden, memory
        return self.attention_norm(hidden), None if memory is None else self.attention_norm(memory)


@serializable
class TransformerXLBlock(nn.Module):
    """A stack of Transformer-XL layers (Dai et al. 2019).

    Without segments attention sees what the batch's masking plan says, and each position also itself; without
    a plan every position sees every other.

    With segments the sequence is worked on piece by piece, each layer also seeing the last positions of its
    inputs of the pieces before, through which no gradient flows. The cost then grows with the length, not
    with its square. This is causal by nature: a masking that shows both sides is refused, and without a plan
    it is causal too.

    Args:
        dim: width D of inputs and outputs, even.
        heads: attention heads, must divide ``dim``.
        layers: number of layers.
        inner_dim: width of the feed-forward parts; 4 * dim if not given.
        dropout: of the inputs, attention weights, each part's result and the outputs, in training.
        activation: of the feed-forward parts.
        norm: "post" normalises each sum, as in the paper, "pre" what goes into each part.
        segment_length: positions of a piece; the whole sequence is one if not given.
        memory_length: positions before a piece that it sees; as many as a piece has if not given.
        layer_norm_eps: added to the variance.
        initializer_range: standard deviation of the weights at the start; biases of linear layers start at 0.

    Raises:
        ValueError: if ``dim`` is odd, ``heads`` does not divide it, or a length or choice is not possible.

    Example:
        >>> TransformerXLBlock(8, heads=2, layers=1)(torch.zeros(3, 5, 8)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        layers: int,
        inner_dim: int | None = None,
        dropout: float = 0.1,
        activation: Activation = "relu",
        norm: Literal["pre", "post"] = "post",
        segment_length: int | None = None,
        memory_length: int | None = None,
        layer_norm_eps: float = 1e-5,
        initializer_range: float = 0.02,
    ) -> None:
        super().__init__()
        check_even(dim)
        if norm not in ("pre", "post"):
            raise ValueError(f"norm is {norm!r}, expected one of ['pre', 'post']")
        if segment_length is not None and segment_length < 1:
            raise ValueError(
                f"segment_length is {segment_length}, expected at least 1, or None for no segments"
            )
        if memory_length is not None and (segment_length is None or memory_length < 1):
            raise ValueError(
                f"memory_length is {memory_length} and segment_length is {segment_length}: a memory of at "
                "least 1 position belongs to segments"
            )
        self.dim = dim
        self.segment_length = segment_length
        self.memory_length = segment_length if memory_length is None else memory_length
        self.sight = (
            Sight("TransformerXLBlock", frozenset({"causal", "full"}))
            if segment_length is None
            else Sight(
                "TransformerXLBlock with segments",
                frozenset({"causal"}),
                remedies={"full": "segment_length=None"},
            )
        )
        self.initializer_range = initializer_range
        self.layer = nn.ModuleList(
            TransformerXLLayer(
                dim,
                heads=heads,
                inner_dim=4 * dim if inner_dim is None else inner_dim,
                dropout=dropout,
                activation=activation,
                norm=norm,
                layer_norm_eps=layer_norm_eps,
            )
            for _ in range(layers)
        )
        self.last_norm = nn.LayerNorm(dim, eps=layer_norm_eps) if norm == "pre" else nn.Identity()
        self.dropout = Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all weights anew: normal(0, initializer_range); biases of linear layers 0, norms 1."""
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=self.initializer_range)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, XLAttention):
                nn.init.normal_(module.content_bias, std=self.initializer_range)
                nn.init.normal_(module.distance_bias, std=self.initializer_range)

    def forward(self, inputs: Tensor, batch: Batch | None = None) -> Tensor:
        """Runs all layers.

        Args:
            inputs: (B, T, D) float, padded on the right.
            batch: with the plan that says what attention may see.

        Returns:
            (B, T, D). Rows of padding have no meaning.

        Raises:
            ValueError: if the width is not ``dim``, or the plan does not fit.
        """
        outputs = [hidden for hidden, _ in self._run(inputs, batch, weights=False)]
        return self.dropout(self.last_norm(torch.cat(outputs, 1)))  # type: ignore[no-any-return]

    def attention_weights(self, inputs: Tensor, batch: Batch | None = None) -> tuple[Tensor, ...]:
        """The attention weights of each layer, without dropout of the weights.

        Args:
            inputs: as for :meth:`forward`.
            batch: as for :meth:`forward`.

        Returns:
            For each layer (B, H, T, T): how much each position (third) takes from each (last); 0 for those
            that are neither in its piece nor in the memory of it.
        """
        steps, start = inputs.shape[1], 0
        layers: list[list[Tensor]] = [[] for _ in self.layer]
        for hidden, weights in self._run(inputs, batch, weights=True):
            end = start + hidden.shape[1]
            for found, own in zip(layers, weights, strict=True):
                # The last key of a piece is at its last position.
                found.append(functional.pad(own, (end - own.shape[-1], steps - end)))
            start = end
        return tuple(torch.cat(found, 2) for found in layers)

    def _run(
        self, inputs: Tensor, batch: Batch | None, *, weights: bool
    ) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """(B, S, D) of each piece of S positions, with each layer's weights (B, H, S, M + S) if asked for."""
        check_width(inputs, self.dim, "Transformer-XL")
        plan = plan_of(inputs, batch, sight=self.sight)
        whole = None if plan is None else attention_bias(plan.visible()).to(inputs.dtype)
        memories: list[Tensor | None] = [None] * len(self.layer)
        inputs, segment = self.dropout(inputs), self.segment_length
        for piece in (inputs,) if segment is None else torch.split(inputs, segment, 1):
            found = []
            for index, layer in enumerate(self.layer):
                memory, bias = memories[index], whole
                if self.segment_length is not None:
                    seen = piece if memory is None else torch.cat([memory, piece], 1)
                    memories[index] = seen[:, -(self.memory_length or 0) :].detach()
                    bias = _causal_bias(piece, seen.shape[1])
                if weights:
                    found.append(layer.weights(piece, memory, bias))  # type: ignore[operator]
                piece = layer(piece, memory, bias)
            yield piece, found


def _causal_bias(piece: Tensor, total: int) -> Tensor:
    """(T, S): 0 for keys up to each query, the last of which is at the last key; else minus infinity."""
    steps = piece.shape[1]
    later = torch.ones(steps, total, dtype=torch.bool, device=piece.device).triu(total - steps + 1)
    return torch.zeros(steps, total, dtype=piece.dtype, device=piece.device).masked_fill_(later, -math.inf)
