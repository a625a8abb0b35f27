"""Sessions in the space of their items: weighted means of item vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.attention import plan_of
from merlin_models_torch.blocks.dropout import Dropout
from merlin_models_torch.masking.sight import Sight
from merlin_models_torch.serialize import serializable

_SIGHT = Sight("ConsistentBlock", frozenset({"causal", "full"}))


@serializable
class ConsistentBlock(nn.Module):
    """Each position becomes a weighted mean of the item vectors that it may see (CORE, Hou et al. 2022).

    The encoder decides only on the weights, so that sessions lie where their items do and can be compared
    with any item by cosine: use it with ``CategoricalOutput(weight_tying=True, normalized=True)``. In the
    paper each session has one set of weights; here every position has its own, by the dot products of its
    query with the keys of what it sees, so that all positions can be trained at once.

    Args:
        encoder: from (B, T, D) and the batch to (B, T, E).
        dim: width E of what the encoder gives.
        dropout: of the item vectors that are averaged, in training.

    Example:
        >>> from merlin_models_torch.blocks import TransformerBlock
        >>> encoder = TransformerBlock(8, heads=2, layers=1, max_length=5)
        >>> ConsistentBlock(encoder, dim=8)(torch.zeros(3, 5, 8)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(self, encoder: nn.Module, *, dim: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.encoder = encoder
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, inputs: Tensor, batch: Batch | None = None) -> Tensor:
        """Weighted means of the inputs.

        Args:
            inputs: (B, T, D) item vectors.
            batch: with the plan that says which positions each may see; all without it.

        Returns:
            (B, T, D) float.
        """
        weights = self._weights(inputs, batch)
        means: Tensor = weights @ self.dropout(inputs).to(weights.dtype)
        return means

    def attention_weights(self, inputs: Tensor, batch: Batch | None = None) -> tuple[Tensor]:
        """(B, 1, T, T) share of each position (last) in the mean at each position (third)."""
        return (self._weights(inputs, batch)[:, None],)

    def _weights(self, inputs: Tensor, batch: Batch | None) -> Tensor:
        hidden = self.encoder(inputs, batch)
        scores = self.query(hidden) @ self.key(hidden).transpose(1, 2) / hidden.shape[-1] ** 0.5
        plan = plan_of(inputs, batch, sight=_SIGHT)
        if plan is not None:
            scores = scores.masked_fill(~plan.visible(), torch.finfo(scores.dtype).min)
        shares: Tensor = scores.softmax(-1)
        return shares
