"""Context joined to what the body gives, instead of to what it takes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from merlin_models_torch.batch import Batch
from merlin_models_torch.blocks.base import takes_batch
from merlin_models_torch.serialize import serializable


@serializable
class LateFusion(nn.Module):
    """Joins a vector of each row's context to the body's output at every position.

    It stands after the body. The columns of the context have to be in the schema of the model's input block,
    which leaves them out of its own vectors with ``context="late"``.

    Args:
        context: gives (B, C) of the batch: a :class:`TabularInputBlock` over the context columns, say.
        how: "concat"; or "sum" or "multiply", ``h * (1 + c)``, of vectors projected to the body's width.
        projection: applied to the joined vectors.

    Raises:
        ValueError: if ``how`` is not known.

    Example:
        >>> context = TabularInputBlock(click_schema.select(Tags.USER), embedding_dim=4)
        >>> users = Batch({"user_id": torch.tensor([1, 2]), "age": torch.tensor([0.3, 0.5])})
        >>> hidden = torch.zeros(2, 7, 8)  # of the body
        >>> LateFusion(context)(hidden, users).shape  # 4 of the id and the age beside 8
        torch.Size([2, 7, 13])
    """

    def __init__(
        self,
        context: nn.Module,
        *,
        how: Literal["concat", "sum", "multiply"] = "concat",
        projection: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if how not in ("concat", "sum", "multiply"):
            raise ValueError(f"how is {how!r}, expected 'concat', 'sum' or 'multiply'")
        self.how = how
        self.context = context
        self.to_width = None if how == "concat" else nn.LazyLinear(0)
        self.projection = projection
        self._projection_takes_batch = projection is not None and takes_batch(projection)

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Joins context.

        Args:
            hidden: (B, T, D) or (B, D) from the body.
            batch: with the columns of the context.

        Returns:
            (B, T, D + C), or (B, T, D) for "sum" and "multiply", before the projection.

        Raises:
            ValueError: if the context has positions.
        """
        context: Tensor = self.context(batch)
        if context.dim() != 2:
            raise ValueError(
                f"the context has the shape {tuple(context.shape)}, expected one vector for each row: give "
                "it columns that are no lists, or combine them"
            )
        if isinstance(self.to_width, nn.LazyLinear):
            self.to_width.out_features = hidden.shape[-1]
        if self.to_width is not None:
            context = self.to_width(context)
        if hidden.dim() == 3:
            context = context[:, None].expand(-1, hidden.shape[1], -1)
        if self.how == "concat":
            joined = torch.cat([hidden, context.to(hidden.dtype)], -1)
        else:
            joined = hidden + context if self.how == "sum" else hidden * (1 + context)
        if self.projection is None:
            return joined
        projected: Tensor = (
            self.projection(joined, batch=batch) if self._projection_takes_batch else self.projection(joined)
        )
        return projected
