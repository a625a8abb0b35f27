"""XLNet: layers of relative attention, with the parameter names of Hugging Face's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.activation import Activation, activation_function
from merlin_models_torch.blocks.attention import check_even, check_width, plan_of
from merlin_models_torch.blocks.dropout import Dropout
from merlin_models_torch.blocks.linear import Linear
from merlin_models_torch.blocks.packing import Packing
from merlin_models_torch.blocks.relative_attention import (
    RelativeAttention,
    attention_bias,
    query_bias,
    relative_positions,
)
from merlin_models_torch.blocks.xlnet_weights import check_config, layer_weights
from merlin_models_torch.masking.sight import Sight
from merlin_models_torch.serialize import serializable


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
        self.layer_1 = Linear(dim, inner_dim)
        self.layer_2 = Linear(inner_dim, dim)
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

    def forward(
        self,
        hidden: Tensor,
        positions: Tensor,
        bias: Tensor | None = None,
        packing: Packing | None = None,
    ) -> Tensor:
        """Runs both parts; the arguments are those of :class:`RelativeAttention`.

        Args:
            hidden: (B, T, D), or (N, D) packed.
            positions: (2T, D).
            bias: (B, 1, T, T) or None.
            packing: how the inputs are packed, if they are.

        Returns:
            (B, T, D), or (M, D) packed.
        """
        return self.ff(self.rel_attn(hidden, positions, bias, packing))  # type: ignore[no-any-return]

    def queries(
        self, queries: Tensor, hidden: Tensor, positions: Tensor, visible: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Runs both parts on the second stream, see :meth:`RelativeAttention.queries`: (B, T, D)."""
        mixed = self.rel_attn.queries(queries, hidden, positions, visible)
        return self.ff(mixed)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Streams:
    """What goes from layer to layer: the items, and where there are two streams what predicts them.

    One stream may be packed.
    """

    hidden: Tensor
    positions: Tensor
    bias: Tensor | None
    queries: Tensor | None = None
    visible: tuple[Tensor, Tensor] | None = None
    packing: Packing | None = None

    @property
    def output(self) -> Tensor:
        output = self.hidden if self.queries is None else self.queries
        return output if self.packing is None else self.packing.left(output)

    def through(self, layer: nn.Module, *, last: bool) -> _Streams:
        if self.queries is None:
            packing = self.packing and self.packing.of_layer(last=last)
            return replace(self, hidden=layer(self.hidden, self.positions, self.bias, packing))
        queries = layer.queries(self.queries, self.hidden, self.positions, self.visible)  # type: ignore[operator]
        if last:  # nothing comes of the items of the last layer
            return replace(self, queries=queries)
        return replace(self, queries=queries, hidden=layer(self.hidden, self.positions, self.bias))

    def weights(self, layer: nn.Module) -> Tensor:
        attention: RelativeAttention = layer.rel_attn  # type: ignore[assignment]
        if self.queries is None or self.visible is None:
            return attention.weights(self.hidden, self.positions, self.bias)
        return attention.query_weights(self.queries, self.hidden, self.positions, self.visible)


@serializable
class XLNetBlock(nn.Module):
    """A stack of XLNet layers (Yang et al. 2019), equal to Hugging Face's ``XLNetModel``.

    What attention sees comes from the batch's masking plan; every position also sees itself, as in the
    original. Without a batch or a plan every position sees every other. The parameters have Hugging Face's
    names, so that a state dict of theirs fits (:meth:`load_huggingface`).

    Where the plan is that of :class:`PermutedMasking` there are two streams (section 2.3): the first holds
    the items, the second, which starts from a learned vector, holds for each position what it would be
    predicted from, and is what comes out: Hugging Face's ``target_mapping`` with every position a target.

    One thing differs from theirs in training: dropout of the position vectors is drawn once for the batch,
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
        two_streams: with the vector that the second stream starts from, for :class:`PermutedMasking`. Under
            other maskings it is not used and gets no gradient.

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
        two_streams: bool = False,
    ) -> None:
        super().__init__()
        check_even(dim)
        self.dim = dim
        self.activation: Activation = activation
        self.layer_norm_eps = layer_norm_eps
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
        self.mask_emb = nn.Parameter(torch.empty(1, 1, dim)) if two_streams else None
        self.sight = Sight(
            "XLNetBlock",
            frozenset({"causal", "full", "permuted"} if two_streams else {"causal", "full"}),
            remedies={"permuted": "two_streams=True"},
        )
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
        if self.mask_emb is not None:
            nn.init.normal_(self.mask_emb, std=self.initializer_range)

    def forward(self, inputs: Tensor, batch: Batch | None = None) -> Tensor:
        """Runs all layers.

        Args:
            inputs: (B, T, D) float.
            batch: with the plan that says what attention may see.

        Returns:
            (B, T, D), of the second stream where there are two. What stands at padding has no meaning, nor
            what stands where the batch says that nobody reads it.

        Raises:
            ValueError: if the width is not ``dim``, or the plan is for another number of positions or asks
                for two streams where there is one.
        """
        streams = self._start(inputs, batch, packed=True)
        for number, layer in enumerate(self.layer, 1):
            streams = streams.through(layer, last=number == len(self.layer))
        return self.dropout(streams.output)  # type: ignore[no-any-return]

    def attention_weights(self, inputs: Tensor, batch: Batch | None = None) -> tuple[Tensor, ...]:
        """The attention weights of each layer, without dropout of the weights.

        Args:
            inputs: as for :meth:`forward`.
            batch: as for :meth:`forward`.

        Returns:
            For each layer (B, H, T, T): how much each position (third) takes from each (last), in the second
            stream where there are two.
        """
        streams = self._start(inputs, batch)
        weights = []
        for number, layer in enumerate(self.layer, 1):
            weights.append(streams.weights(layer))
            streams = streams.through(layer, last=number == len(self.layer))
        return tuple(weights)

    def _start(self, inputs: Tensor, batch: Batch | None, *, packed: bool = False) -> _Streams:
        """What the first layer gets."""
        check_width(inputs, self.dim, "XLNet")
        plan = plan_of(inputs, batch, sight=self.sight)
        bias = None if plan is None else attention_bias(plan.visible())
        positions = relative_positions(inputs.shape[1], self.dim, device=inputs.device).to(inputs.dtype)
        positions = self.dropout(positions)
        if plan is None or plan.pairs is None or self.mask_emb is None:
            packing = Packing.of(inputs, batch, self) if packed else None
            hidden = self.dropout(inputs if packing is None else packing.entered(inputs))
            return _Streams(hidden, positions, bias, packing=packing)
        hidden = self.dropout(inputs)
        queries = self.dropout(self.mask_emb.to(hidden.dtype).expand_as(hidden))
        return _Streams(hidden, positions, bias, queries, query_bias(plan.pairs))

    def load_huggingface(self, source: nn.Module | Mapping[str, Tensor]) -> None:
        """Takes the weights of a Hugging Face ``XLNetModel``, or of a model with one as ``transformer``.

        Word embeddings are left out, because a block gets vectors, not ids, and so is the mask embedding by a
        block of one stream. Of a model the config is checked
        too, except for what the block gets from elsewhere: dropout, and what attention may see.

        Args:
            source: the model, or its state dict.

        Raises:
            ValueError: if weights are missing, unknown or of another shape, or the model computes something
                else than the block; nothing is changed then.
        """
        if isinstance(source, nn.Module):
            check_config(
                getattr(source, "config", None),
                activation=self.activation,
                layer_norm_eps=self.layer_norm_eps,
            )
            source = source.state_dict()
        self.load_state_dict(layer_weights(source, like=self.state_dict()))
