"""What the types of columns say of them, which is all that merlin-core reads of data without a schema."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from merlin_models_torch.schema import ColumnSchema, Schema
from merlin_models_torch.schema.facts import element_type, is_list

_INDEX = "__index_level_"  # of a data frame, in a file that it was written to


def schema_of_types(columns: pa.Schema) -> Schema:
    """Names, types and which columns are lists; no tags and no domains, and no column is refused."""
    return Schema([_column(one.name, one.type) for one in columns if not one.name.startswith(_INDEX)])


def _column(name: str, arrow: pa.DataType) -> ColumnSchema:
    lists: list[Any] = []
    kind = arrow
    while is_list(kind):
        lists.append(None)
        kind = kind.value_type
    return ColumnSchema(name, dtype=_dtype(arrow), dims=(None, *lists))


def _dtype(arrow: pa.DataType) -> Any:
    element = element_type(arrow)
    if pa.types.is_dictionary(arrow):
        return None  # categories of pandas
    # Strings are objects, as pandas has them.
    return "object" if pa.types.is_string(element) or pa.types.is_large_string(element) else element
