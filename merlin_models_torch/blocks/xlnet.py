"""XLNet's layers: attention that knows how far apart two positions are."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.activation import Activation, activation_function
from merlin_models_torch.blocks.attention import check_heads, plan_of
from merlin_models_torch.blocks.dropout import Dropout
from merlin_models_torch.serialize import serializable


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
        heads, width = self.r_w_bias.shape
        scale = 1 / math.sqrt(width)
        # The scale goes into the query's weights and biases, which are smaller than the scores.
        weights = torch.cat([self.q.flatten(1) * scale, self.k.flatten(1), self.v.flatten(1)], 1)
        query, key, value = (hidden @ weights).unflatten(-1, (3, heads, width)).unbind(2)
        distance = (positions.to(hidden.dtype) @ self.r.flatten(1)).unflatten(-1, (heads, width))
        scores = _content_scores(query + self.r_w_bias * scale, key)
        scores = scores + _distance_scores(query + self.r_r_bias * scale, distance)
        if bias is not None:
            scores = scores + bias
        probabilities = self.dropout(scores.softmax(-1)).to(value.dtype)
        mixed = torch.matmul(probabilities, value.transpose(1, 2)).transpose(1, 2).flatten(2)
        result: Tensor = self.layer_norm(self.dropout(mixed @ self.o.flatten(1).T) + hidden)
        return result


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


class XLNetFeedForward(nn.Module):
    """Two linear layers at each position, a residual connection and layer normalisation.

    Args:
        dim: width D.
        inner_dim: width between the layers.
        dropout: after each of them, in training.
        activation: between them.
        layer_norm_eps: added to the variance.
    """

    def __init__(
        self, dim: int, *, inner_dim: int, dropout: float, activation: Activation, layer_norm_eps: float
    ) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(dim, eps=layer_norm_eps)
        self.layer_1 = nn.Linear(dim, inner_dim)
        self.layer_2 = nn.Linear(inner_dim, dim)
        self.dropout = Dropout(dropout)
        self.activation = activation_function(activation)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        inner = self.dropout(self.activation(self.layer_1(hidden)))
        result: Tensor = self.layer_norm(self.dropout(self.layer_2(inner)) + hidden)
        return result


class XLNetLayer(nn.Module):
    """One layer of XLNet: :class:`RelativeAttention` and :class:`XLNetFeedForward`.

    Args:
        dim: width D.
        heads: attention heads, must divide ``dim``.
        inner_dim: width of the feed-forward part.
        dropout: in training.
        activation: of the feed-forward part.
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
        layer_norm_eps: float,
    ) -> None:
        super().__init__()
        self.rel_attn = RelativeAttention(dim, heads=heads, dropout=dropout, layer_norm_eps=layer_norm_eps)
        self.ff = XLNetFeedForward(
            dim, inner_dim=inner_dim, dropout=dropout, activation=activation, layer_norm_eps=layer_norm_eps
        )

    def forward(self, hidden: Tensor, positions: Tensor, bias: Tensor | None = None) -> Tensor:
        """Runs both parts; the arguments are those of :class:`RelativeAttention`.

        Args:
            hidden: (B, T, D).
            positions: (2T, D).
            bias: (B, 1, T, T) or None.

        Returns:
            (B, T, D).
        """
        return self.ff(self.rel_attn(hidden, positions, bias))  # type: ignore[no-any-return]


@serializable
class XLNetBlock(nn.Module):
    """A stack of XLNet layers with one stream (Yang et al. 2019), equal to Hugging Face's ``XLNetModel``.

    What attention sees comes from the batch's masking plan; every position also sees itself, as in the
    original. Without a batch or a plan every position sees every other. The parameters have Hugging Face's
    names, so that a state dict of theirs fits (:meth:`load_huggingface`).

    One thing differs from theirs in training: dropout of the position vectors is drawn once for the batch, and
    not for each of its rows, so that they are projected once.

    Args:
        dim: width D of inputs and outputs, even.
        heads: attention heads, must divide ``dim``.
        layers: number of layers.
        inner_dim: width of the feed-forward parts; 4 * dim if not given.
        dropout: of the inputs, positions, attention weights, each part's result and the outputs, in training.
        activation: of the feed-forward parts.
        layer_norm_eps: added to the variance.
        initializer_range: standard deviation of the weights at the start; biases of linear layers start at 0.

    Raises:
        ValueError: if ``dim`` is odd or ``heads`` does not divide it.

    Example:
        >>> XLNetBlock(8, heads=2, layers=1)(torch.zeros(3, 5, 8)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        layers: int,
        inner_dim: int | None = None,
        dropout: float = 0.3,
        activation: Activation = "gelu",
        layer_norm_eps: float = 0.03,
        initializer_range: float = 0.01,
    ) -> None:
        super().__init__()
        if dim % 2:
            raise ValueError(
                f"dim is {dim}, expected an even width, because positions are pairs of sine and cosine"
            )
        self.dim = dim
        self.initializer_range = initializer_range
        self.layer = nn.ModuleList(
            XLNetLayer(
                dim,
                heads=heads,
                inner_dim=4 * dim if inner_dim is None else inner_dim,
                dropout=dropout,
                activation=activation,
                layer_norm_eps=layer_norm_eps,
            )
            for _ in range(layers)
        )
        self.dropout = Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all weights anew: normal(0, initializer_range); biases of linear layers 0, norms 1."""
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=self.initializer_range)
                nn.init.zeros_(module.bias)
            elif isinstance(module, RelativeAttention):
                for parameter in module.parameters(recurse=False):
                    nn.init.normal_(parameter, std=self.initializer_range)

    def forward(self, inputs: Tensor, batch: Batch | None = None) -> Tensor:
        """Runs all layers.

        Args:
            inputs: (B, T, D) float.
            batch: with the plan that says what attention may see.

        Returns:
            (B, T, D).

        Raises:
            ValueError: if the width is not ``dim``, or the plan is for another number of positions.
        """
        if inputs.shape[-1] != self.dim:
            raise ValueError(
                f"the XLNet block has width {self.dim} and got inputs of width {inputs.shape[-1]}: put "
                f"MLPBlock([{self.dim}]) before it"
            )
        plan = plan_of(inputs, batch)
        bias = None if plan is None else attention_bias(plan.visible())
        positions = relative_positions(inputs.shape[1], self.dim, device=inputs.device).to(inputs.dtype)
        positions = self.dropout(positions)
        hidden = self.dropout(inputs)
        for layer in self.layer:
            hidden = layer(hidden, positions, bias)
        return self.dropout(hidden)  # type: ignore[no-any-return]

    def load_huggingface(self, source: nn.Module | Mapping[str, Tensor]) -> None:
        """Takes the weights of a Hugging Face ``XLNetModel``, or of a model with one as ``transformer``.

        Word and mask embeddings are left out: a block gets vectors, not ids.

        Args:
            source: the model, or its state dict.

        Raises:
            ValueError: if weights are missing, of another shape, or unknown; nothing is changed then.
        """
        state = source.state_dict() if isinstance(source, nn.Module) else source
        prefix = "transformer." if any(name.startswith("transformer.") for name in state) else ""
        layers = f"{prefix}layer."
        found = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(layers)}
        own = self.state_dict()
        for name in sorted({*own, *found}):
            if name not in found:
                raise ValueError(
                    f"the source has no weight {prefix + name!r}: is it an XLNet of {len(self.layer)} layers?"
                )
            if name not in own:
                raise ValueError(
                    f"the source has a weight {prefix + name!r} that the block lacks: build it with more layers"
                )
            if found[name].shape != own[name].shape:
                raise ValueError(
                    f"weight {prefix + name!r} is {tuple(found[name].shape)} in the source and "
                    f"{tuple(own[name].shape)} in the block: build the block with the sizes of the source"
                )
        self.load_state_dict(found)
