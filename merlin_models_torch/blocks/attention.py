"""Self-attention of many heads, and what of a sequence it may see."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from merlin_models_torch._counts import check_count
from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.dropout import dropout
from merlin_models_torch.blocks.linear import Linear
from merlin_models_torch.blocks.packing import Packing
from merlin_models_torch.blocks.positions import Positions
from merlin_models_torch.masking.plan import MaskPlan
from merlin_models_torch.masking.sight import Sight


@dataclass(frozen=True)
class View:
    """Which positions each position may attend to.

    Args:
        mask: (B, 1, T) or (B, T, T) bool, True where a position (last) is visible to another (middle).
        causal: whether later positions are hidden as well.
    """

    mask: Tensor | None = None
    causal: bool = False

    @classmethod
    def of(cls, inputs: Tensor, batch: Batch | None, *, sight: Sight | None = None) -> View:
        """What the batch's plan lets attention see: everything if there is no batch or no plan.

        Padding is on the right, so a causal view hides it from every real position without a mask, and
        attention stays on its fastest path; what padded positions themselves see is then not defined.

        Args:
            inputs: (B, T, D) what attention will work on.
            batch: may have a plan.
            sight: what the asking block can be told to see.

        Raises:
            ValueError: if the plan was made for another number of positions, or does not fit the block.
        """
        plan = plan_of(inputs, batch, sight=sight)
        if plan is None:
            return cls()
        if plan.attention == "causal":
            return cls(causal=True)
        return cls(mask=plan.visible())


def plan_of(inputs: Tensor, batch: Batch | None, *, sight: Sight | None = None) -> MaskPlan | None:
    """The batch's plan, if it has one.

    Args:
        inputs: (B, T, D) what the plan is for.
        batch: may have a plan.
        sight: what the asking block can be told to see.

    Raises:
        ValueError: if the plan was made for another number of positions than the inputs have, or asks for
            what the block cannot see.
    """
    if batch is None or batch.plan is None:
        return None
    if sight is not None:
        sight.check(batch.plan)
    if batch.plan.replaced.shape[1] != inputs.shape[1]:
        raise ValueError(
            f"the masking plan has {batch.plan.replaced.shape[1]} positions and the inputs of the block have "
            f"{inputs.shape[1]}: pass the batch that these inputs were made of"
        )
    return batch.plan


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    view: View,
    bias: Tensor | None = None,
    probability: float = 0.0,
    training: bool = False,
) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1); 0 for a position that sees nothing.

    Args:
        query: (B, H, T, D) float, H heads.
        key: (B, H, S, D); S is T for a sequence's attention to itself.
        value: (B, H, S, D).
        view: what is visible.
        bias: (H, T, S) float, added to the scaled scores.
        probability: chance of an attention weight to be dropped in training.
        training: whether to drop.

    Returns:
        (B, H, T, D).
    """
    drop = probability if training else 0.0
    if drop and query.device.type == "cpu":
        return _attend_by_hand(query, key, value, view=view, bias=bias, probability=drop)
    if bias is not None:
        added, some = _biased(query, key, view=view, bias=bias)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=added, dropout_p=drop)
        return mixed if some is None else mixed * some
    mask = None if view.mask is None else view.mask[:, None]
    causal = view.causal
    if causal and mask is not None:
        mask, causal = mask & _lower_triangle(query), False
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=drop, is_causal=causal)


def _biased(query: Tensor, key: Tensor, *, view: View, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """What to add to the scores, and which rows see anything (None if all do).

    A row that sees nothing would be 0/0: it is left open, and has to become 0 after the softmax.
    """
    visible = None if view.mask is None else view.mask[:, None]
    if view.causal:
        below = _lower_triangle(query)
        visible = below if visible is None else visible & below
    if visible is None:
        return query.new_zeros(()) if bias is None else bias.to(query.dtype), None
    some = visible.any(-1, keepdim=True)
    hidden = torch.zeros_like(visible, dtype=query.dtype).masked_fill_(some & ~visible, -math.inf)
    return hidden if bias is None else hidden + bias.to(query.dtype), some


def attention_weights(query: Tensor, key: Tensor, *, view: View, bias: Tensor | None = None) -> Tensor:
    """The weights that :func:`attend` mixes values with, without dropout.

    Args:
        query: (B, H, T, D) float.
        key: (B, H, S, D).
        view: what is visible.
        bias: (H, T, S) float, added to the scaled scores.

    Returns:
        (B, H, T, S), the sum over S is 1; 0 for a position that sees nothing.
    """
    batch, heads, steps, _ = query.shape
    scaled = (query * (1 / math.sqrt(query.shape[-1]))).flatten(0, 1)
    scores = torch.bmm(scaled, key.flatten(0, 1).transpose(1, 2)).view(batch, heads, steps, key.shape[2])
    some = None
    if bias is not None or view.mask is not None or view.causal:
        added, some = _biased(query, key, view=view, bias=bias)
        scores = scores + added
    weights = scores.softmax(-1)
    return weights if some is None else weights * some


def _attend_by_hand(
    query: Tensor, key: Tensor, value: Tensor, *, view: View, bias: Tensor | None, probability: float
) -> Tensor:
    """The formula itself: on CPU torch has no fused kernel with dropout, and its plain one draws slowly."""
    weights = attention_weights(query, key, view=view, bias=bias)
    weights = dropout(weights.to(value.dtype), probability)
    return torch.bmm(weights.flatten(0, 1), value.flatten(0, 1)).view_as(query)


def _lower_triangle(query: Tensor) -> Tensor:
    steps = torch.arange(query.shape[2], device=query.device)
    return steps <= steps[:, None]


class SelfAttention(nn.Module):
    """Attention of a sequence to itself, with many heads (Vaswani et al. 2017, section 3.2.2).

    Args:
        dim: width D of inputs and outputs.
        heads: must divide ``dim``.
        dropout: chance of an attention weight to be dropped in training; it costs the fused kernel on CPU.

    Raises:
        ValueError: if ``heads`` does not divide ``dim``.
    """

    def __init__(self, dim: int, *, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.heads = heads
        self.dropout = dropout
        self.qkv = Linear(dim, 3 * dim)
        self.out = Linear(dim, dim)

    def forward(
        self,
        hidden: Tensor,
        view: View,
        positions: Positions | None = None,
        packing: Packing | None = None,
    ) -> Tensor:
        """Attends.

        Args:
            hidden: (B, T, D), or (N, D) packed.
            view: what is visible.
            positions: what attention knows of them.
            packing: how the inputs are packed, if they are.

        Returns:
            (B, T, D), or (M, D) packed.
        """
        query, key, value, bias = self._projected(hidden, positions, packing)
        mixed = attend(
            query, key, value, view=view, bias=bias, probability=self.dropout, training=self.training
        )
        mixed = mixed.transpose(1, 2).flatten(2)
        return self.out(mixed if packing is None else packing.packed(mixed))  # type: ignore[no-any-return]

    def weights(self, hidden: Tensor, view: View, positions: Positions | None = None) -> Tensor:
        """(B, H, T, T): how much each position (third) takes from each (last) in :meth:`forward`."""
        query, key, _, bias = self._projected(hidden, positions)
        return attention_weights(query, key, view=view, bias=bias)

    def _projected(
        self, hidden: Tensor, positions: Positions | None, packing: Packing | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Queries, keys and values (B, H, T, D / H), and what is added to the scores."""
        qkv = self.qkv(hidden) if packing is None else packing.padded(self.qkv(hidden))
        qkv = qkv.unflatten(2, (3, self.heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if positions is None:
            return query, key, value, None
        return positions.rotated(query), positions.rotated(key), value, positions.bias


def check_heads(dim: int, heads: int) -> None:
    """Raises ValueError unless ``heads`` divides ``dim``, TypeError unless both are whole numbers."""
    check_count("dim", dim)
    check_count("heads", heads)
    if heads < 1 or dim % heads:
        raise ValueError(
            f"dim is {dim} and heads is {heads}: choose a number of heads that divides the width"
        )


def check_width(inputs: Tensor, dim: int, body: str) -> None:
    """Raises ValueError unless (B, T, D) inputs have the width ``dim`` of a body of this name."""
    if inputs.shape[-1] != dim:
        raise ValueError(
            f"the {body} block has width {dim} and got inputs of width {inputs.shape[-1]}: put "
            f"MLPBlock([{dim}]) before it"
        )


def check_even(dim: int) -> None:
    """Raises ValueError for an odd width, which has no room for pairs of sine and cosine."""
    if dim % 2:
        raise ValueError(
            f"dim is {dim}, expected an even width, because positions are pairs of sine and cosine"
        )
