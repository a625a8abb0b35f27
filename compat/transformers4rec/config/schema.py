"""A module that carries a schema."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import Tensor

from transformers4rec._legacy import elsewhere

__getattr__ = elsewhere(__name__, {"merlin_standard_lib": "Schema"})

_Class = TypeVar("_Class", bound=type)


class SchemaMixin:
    """Keeps the schema it was first given."""

    REQUIRES_SCHEMA = False

    def set_schema(self, schema: Any = None) -> Any:
        """Takes a schema unless there is one already.

        Raises:
            ValueError: if there is none at all and the class cannot do without.
        """
        self.check_schema(schema)
        if schema and not self.schema:
            self._schema = schema
        return self

    @property
    def schema(self) -> Any:
        """The schema, None if there is none."""
        return getattr(self, "_schema", None)

    @schema.setter
    def schema(self, value: Any) -> None:
        if value:
            self.set_schema(value)
        else:
            self._schema = value

    def check_schema(self, schema: Any = None) -> None:
        """Raises ValueError if the class needs a schema and neither has one nor is given one."""
        if self.REQUIRES_SCHEMA and not self.schema and not schema:
            raise ValueError(f"{type(self).__name__} requires a schema: give it one with set_schema(schema)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the module, if it has the schema that it needs."""
        self.check_schema()
        return super().__call__(*args, **kwargs)  # type: ignore[misc]

    def _maybe_set_schema(self, input: Any, schema: Any) -> None:
        if input and hasattr(input, "set_schema"):
            input.set_schema(schema)

    def get_item_ids_from_inputs(self, inputs: dict[str, Tensor]) -> Tensor:
        """The column that the schema tags as item id."""
        return inputs[item_id_column(self.schema)]

    def get_padding_mask_from_item_id(self, inputs: dict[str, Tensor], pad_token: int = 0) -> Tensor:
        """(B, T) bool, where the item id is no padding.

        Raises:
            ValueError: if the item ids are no matrix.
        """
        ids = self.get_item_ids_from_inputs(inputs)
        if ids.dim() != 2:
            raise ValueError(f"the item ids have {ids.dim()} dimensions, 2 are expected: batch and position")
        return ids != pad_token


def item_id_column(schema: Any) -> str:
    """Name of the column tagged as item id.

    Raises:
        ValueError: if there is none.
    """
    from merlin.schema import Tags

    names = schema.select_by_tag(Tags.ITEM_ID).column_names
    if not names:
        raise ValueError(f"no column of {schema.column_names} has the tag ITEM_ID: add it to the schema")
    return names[0]


def requires_schema(module: _Class) -> _Class:
    """Marks a class that cannot work without a schema."""
    module.REQUIRES_SCHEMA = True  # type: ignore[attr-defined]
    return module
