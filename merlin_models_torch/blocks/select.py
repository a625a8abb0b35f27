"""Columns taken out of what comes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from merlin_models_torch.batch import Batch, Column
from merlin_models_torch.schema import Schema, as_schema
from merlin_models_torch.schema.selection import Selection
from merlin_models_torch.serialize import serializable


@serializable
class SelectKeys(nn.Module):
    """Only the columns of a schema, of a batch or of a dict.

    Args:
        schema: the columns to keep, or their names.
        joined: columns that the module before may have joined into one tensor, by the name of that. Of such
            a name and its columns it is enough that one of both is there, if both are in the schema.

    Example:
        >>> SelectKeys(["a"])({"a": torch.ones(1), "b": torch.ones(1)})
        {'a': tensor([1.])}
    """

    def __init__(
        self, schema: Schema | Sequence[str], *, joined: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        super().__init__()
        self.schema = as_schema([schema] if isinstance(schema, str) else schema)
        self.joined = {name: list(columns) for name, columns in (joined or {}).items()}

    def forward(self, inputs: Batch | Mapping[str, Column]) -> dict[str, Column]:
        """The columns by name, in the order of the schema.

        Args:
            inputs: a batch, or (B,), (B, D) or (B, T, D) tensors by name, or ragged.

        Returns:
            Those of the schema, as they are.

        Raises:
            KeyError: if one is missing.
            TypeError: if the inputs have no names.
        """
        features = inputs.features if isinstance(inputs, Batch) else inputs
        if not isinstance(features, Mapping):
            raise TypeError(
                f"columns are selected from a batch or a dict, not from {type(features).__name__}: put this "
                "before the tensors are joined"
            )
        names = self.schema.column_names
        there = {name for name in names if name in features}
        missing = [name for name in names if name not in there and not self._stood_for(name, there)]
        if missing:
            raise KeyError(
                f"the inputs have no {missing}, only {sorted(features)}: add them to the data, or select "
                "after a module that keeps them apart"
            )
        return {name: features[name] for name in names if name in there}

    def _stood_for(self, name: str, there: set[str]) -> bool:
        if name in self.joined:
            return not there.isdisjoint(self.joined[name])
        return any(name in columns and whole in there for whole, columns in self.joined.items())

    def select(self, selection: Selection) -> SelectKeys:
        """Of these columns, those that a selection means."""
        return SelectKeys(self.schema.select(selection), joined=self.joined)

    def extra_repr(self) -> str:
        """The names."""
        return ", ".join(self.schema.column_names)
