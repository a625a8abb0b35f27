"""``merlin.models.torch.transforms.tuple``: tensors by name as a tuple."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from merlin.models._legacy import legacy
from torch import Tensor, nn

MOST = 10


@legacy
class ToTupleModule(nn.Module):
    """The tensors of some columns as a tuple, in the order of the schema.

    Args:
        input_schema: the columns.
    """

    _column_names: list[str]

    def __init__(self, input_schema: Any = None) -> None:
        super().__init__()
        if input_schema is not None:
            self.initialize_from_schema(input_schema)
            self._initialized_from_schema = True

    def initialize_from_schema(self, input_schema: Any) -> None:
        """Sets the columns."""
        self._input_schema = input_schema
        self._column_names = input_schema.column_names

    def value_list(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """The tensors.

        Raises:
            RuntimeError: if the columns are not known.
        """
        if not hasattr(self, "_column_names"):
            raise RuntimeError("the columns are not known: give input_schema")
        return [inputs[name] for name in self._column_names]

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The tensors."""
        return tuple(self.value_list(inputs))


def _of_length(length: int) -> type[ToTupleModule]:
    name = f"ToTuple{length}"
    return type(name, (ToTupleModule,), {"__module__": __name__, "__doc__": f"A tuple of {length} tensors."})


_KINDS = {f"ToTuple{length}": _of_length(length) for length in range(1, MOST + 1)}
globals().update(_KINDS)


@legacy
def ToTuple(schema: Any) -> ToTupleModule:
    """The module for a schema of one to ten columns.

    Raises:
        ValueError: if it has more.
    """
    if not 1 <= len(schema) <= MOST:
        raise ValueError(f"a tuple has 1 to {MOST} columns, the schema has {len(schema)}")
    return _KINDS[f"ToTuple{len(schema)}"](input_schema=schema)
