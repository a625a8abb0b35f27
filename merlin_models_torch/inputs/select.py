"""Columns of the batch, wherever they are needed."""

from __future__ import annotations

from typing import Any

from torch import nn

from merlin_models_torch.batch import Batch, Column
from merlin_models_torch.schema import Schema
from merlin_models_torch.serialize import serializable


@serializable
class SelectFeatures(nn.Module):
    """Columns of the batch by name, whatever the module before gave.

    Args:
        schema: the columns.

    Example:
        >>> rows = Batch({"item_id": torch.tensor([7, 9]), "age": torch.tensor([0.3, 0.5])})
        >>> chain = Block(nn.Linear(8, 4), SelectFeatures(Schema(["age"])))
        >>> chain(torch.zeros(2, 8), batch=rows)  # whatever the linear layer gives
        {'age': tensor([0.3000, 0.5000])}
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.schema = schema

    def forward(self, inputs: Any, batch: Batch | None = None) -> dict[str, Column]:
        """The columns, in the order of the schema.

        Args:
            inputs: a batch; anything else is not looked at.
            batch: to take them from, if the inputs are no batch.

        Returns:
            (B,), (B, D) or (B, T) tensors, or ragged, by name, as the batch has them.

        Raises:
            KeyError: if one is missing.
            ValueError: if there is no batch.
        """
        source = inputs if isinstance(inputs, Batch) else batch
        if source is None:
            raise ValueError("features are selected from a batch: pass it beside the inputs")
        return dict(source.select(self.schema.column_names).features)

    def extra_repr(self) -> str:
        """The names."""
        return ", ".join(self.schema.column_names)
