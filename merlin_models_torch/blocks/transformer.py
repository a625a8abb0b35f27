"""The transformer encoder, causal or not as the masking plan says."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.activation import Activation, activation_function
from merlin_models_torch.blocks.attention import SelfAttention, View, check_heads, check_width
from merlin_models_torch.blocks.dropout import Dropout
from merlin_models_torch.blocks.linear import Linear
from merlin_models_torch.blocks.packing import Packing
from merlin_models_torch.blocks.positions import Positions, RelativeBias, rotation
from merlin_models_torch.masking.sight import Sight
from merlin_models_torch.serialize import serializable

_SIGHT = Sight("TransformerBlock", frozenset({"causal", "full"}))


@serializable
class FeedForward(nn.Module):
    """Two linear layers at each position (Vaswani et al. 2017, section 3.3).

    Args:
        dim: width D of inputs and outputs.
        inner_dim: width between them.
        dropout: after the activation, in training.
        activation: between them.
    """

    def __init__(self, dim: int, *, inner_dim: int, dropout: float, activation: Activation) -> None:
        super().__init__()
        self.layer_1 = Linear(dim, inner_dim)
        self.layer_2 = Linear(inner_dim, dim)
        self.dropout = Dropout(dropout)
        self.activation = activation_function(activation)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        return self.layer_2(self.dropout(self.activation(self.layer_1(hidden))))  # type: ignore[no-any-return]


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward, each with a residual connection and layer normalisation.

    Args:
        dim: width D.
        heads: attention heads.
        inner_dim: width of the feed-forward part.
        dropout: after attention, inside and after the feed-forward part, in training.
        attention_dropout: of attention weights, in training.
        activation: of the feed-forward part.
        norm: "pre" normalises what goes into each part, "post" the sum that comes out.
        layer_norm_eps: added to the variance.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int,
        inner_dim: int,
        dropout: float,
        attention_dropout: float,
        activation: Activation,
        norm: Literal["pre", "post"],
        layer_norm_eps: float,
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(dim, heads=heads, dropout=attention_dropout)
        self.attention_norm = nn.LayerNorm(dim, eps=layer_norm_eps)
        self.ff = FeedForward(dim, inner_dim=inner_dim, dropout=dropout, activation=activation)
        self.ff_norm = nn.LayerNorm(dim, eps=layer_norm_eps)
        self.dropout = Dropout(dropout)
        self.norm = norm

    def forward(
        self,
        hidden: Tensor,
        view: View,
        positions: Positions | None = None,
        packing: Packing | None = None,
    ) -> Tensor:
        """(B, T, D) to (B, T, D), or (N, D) to (M, D) packed; attention by ``view`` and ``positions``."""
        before = hidden if packing is None else packing.kept(hidden)
        if self.norm == "pre":
            attended = self.attention(self.attention_norm(hidden), view, positions, packing)
            hidden = before + self.dropout(attended)
            return hidden + self.dropout(self.ff(self.ff_norm(hidden)))  # type: ignore[no-any-return]
        hidden = self.attention_norm(before + self.dropout(self.attention(hidden, view, positions, packing)))
        return self.ff_norm(hidden + self.dropout(self.ff(hidden)))  # type: ignore[no-any-return]

    def weights(self, hidden: Tensor, view: View, positions: Positions | None = None) -> Tensor:
        """(B, H, T, T) attention weights of :meth:`forward`."""
        hidden = self.attention_norm(hidden) if self.norm == "pre" else hidden
        return self.attention.weights(hidden, view, positions)


@serializable
class TransformerBlock(nn.Module):
    """A stack of transformer layers (Vaswani et al. 2017).

    What attention sees comes from the batch's masking plan: with a causal one this is the body of SASRec
    (Kang and McAuley 2018), with random masking that of BERT4Rec (Sun et al. 2019). Without a batch or a plan
    every position sees every other.

    Args:
        dim: width D of inputs and outputs.
        heads: attention heads, must divide ``dim``.
        layers: number of layers.
        inner_dim: width of the feed-forward parts; 4 * dim if not given.
        dropout: of the inputs and of each part's result, in training.
        attention_dropout: of attention weights, in training; above 0, attention takes 1.1 to 3 times as long
            on CPU.
        activation: of the feed-forward parts.
        norm: "pre" normalises what goes into each part and the last sum, "post" each sum.
        positions: "learned" adds a learned vector for each position, counted from the first; "rotary" turns
            queries and keys by an angle for each position (Su et al. 2021), which needs an even width of each
            head; "relative" adds a learned number for each distance and head to the scores, the same in all
            layers (Raffel et al. 2020, with one number a distance), which costs the fused kernel on CPU.
        max_length: positions that have a learned vector, required for "learned"; for "relative", where it is
            required too, distances from this on count as the largest below it.
        layer_norm_eps: added to the variance.
        initializer_range: standard deviation of the weights at the start; biases start at 0.

    Raises:
        ValueError: if a choice does not exist, heads do not divide the width, or max_length is missing.

    Example:
        >>> block = TransformerBlock(8, heads=2, layers=1, max_length=5)
        >>> block(torch.zeros(3, 5, 8)).shape
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
        attention_dropout: float = 0.0,
        activation: Activation = "gelu",
        norm: Literal["pre", "post"] = "pre",
        positions: Literal["learned", "rotary", "relative", "none"] = "learned",
        max_length: int | None = None,
        layer_norm_eps: float = 1e-5,
        initializer_range: float = 0.02,
    ) -> None:
        super().__init__()
        if norm not in ("pre", "post"):
            raise ValueError(f"norm is {norm!r}, expected one of ['pre', 'post']")
        if positions not in (kinds := ["learned", "rotary", "relative", "none"]):
            raise ValueError(f"positions is {positions!r}, expected one of {kinds}")
        if positions in ("learned", "relative") and max_length is None:
            raise ValueError(
                f"{positions} positions need max_length, the longest sequence: pass it or positions='none'"
            )
        check_heads(dim, heads)
        if positions == "rotary" and (dim // heads) % 2:
            raise ValueError(
                f"rotary positions need heads of even width, got {dim // heads} (dim {dim}, heads {heads}): "
                "choose another number of heads"
            )
        self.dim = dim
        self.initializer_range = initializer_range
        self.positions = nn.Embedding(max_length, dim) if positions == "learned" and max_length else None
        self.distances = RelativeBias(max_length, heads) if positions == "relative" and max_length else None
        self.rotary_width = dim // heads if positions == "rotary" else None
        self.dropout = Dropout(dropout)
        self.layer = nn.ModuleList(
            TransformerLayer(
                dim,
                heads=heads,
                inner_dim=4 * dim if inner_dim is None else inner_dim,
                dropout=dropout,
                attention_dropout=attention_dropout,
                activation=activation,
                norm=norm,
                layer_norm_eps=layer_norm_eps,
            )
            for _ in range(layers)
        )
        self.last_norm = nn.LayerNorm(dim, eps=layer_norm_eps) if norm == "pre" else nn.Identity()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all weights anew: normal(0, initializer_range); biases 0, norms 1."""
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=self.initializer_range)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()

    def forward(self, inputs: Tensor, batch: Batch | None = None) -> Tensor:
        """Runs all layers.

        Args:
            inputs: (B, T, D) float, padded on the right.
            batch: with the plan that says what attention may see.

        Returns:
            (B, T, D). What stands at padding has no meaning, nor what stands where the batch says that nobody
            reads it.

        Raises:
            ValueError: if the width is not ``dim``, or there are more positions than ``max_length``.
        """
        check_width(inputs, self.dim, "transformer")
        packing = Packing.of(inputs, batch, self)
        hidden, view, positions = self._prepared(inputs, batch, packing)
        for number, layer in enumerate(self.layer, 1):
            of_layer = packing and packing.of_layer(last=number == len(self.layer))
            hidden = layer(hidden, view, positions, of_layer)
        hidden = self.last_norm(hidden)
        return hidden if packing is None else packing.left(hidden)

    def attention_weights(self, inputs: Tensor, batch: Batch | None = None) -> tuple[Tensor, ...]:
        """The attention weights of each layer, without dropout of the weights.

        Args:
            inputs: as for :meth:`forward`.
            batch: as for :meth:`forward`.

        Returns:
            For each layer (B, H, T, T): how much each position (third) takes from each (last).
        """
        check_width(inputs, self.dim, "transformer")
        hidden, view, positions = self._prepared(inputs, batch)
        weights = []
        for layer in self.layer:
            weights.append(layer.weights(hidden, view, positions))  # type: ignore[operator]
            hidden = layer(hidden, view, positions)
        return tuple(weights)

    def _prepared(
        self, inputs: Tensor, batch: Batch | None, packing: Packing | None = None
    ) -> tuple[Tensor, View, Positions | None]:
        """What the first layer gets."""
        view = View.of(inputs, batch, sight=_SIGHT)
        if self.positions is not None:
            inputs = inputs + self._position_vectors(inputs.shape[1])
        positions = None
        if self.distances is not None:
            positions = Positions(bias=self.distances(inputs.shape[1]))
        elif self.rotary_width is not None:
            positions = Positions(rotation=rotation(inputs, self.rotary_width))
        return self.dropout(inputs if packing is None else packing.entered(inputs)), view, positions

    def _position_vectors(self, steps: int) -> Tensor:
        table = self.positions.weight  # type: ignore[union-attr]
        if steps > table.shape[0]:
            raise ValueError(
                f"the sequence has {steps} positions and the transformer block has "
                f"max_length={table.shape[0]}: shorten the sequences (max_sequence_length= of the input "
                "block or of mm.export; masking may add a position), or raise max_length"
            )
        return table[:steps]
