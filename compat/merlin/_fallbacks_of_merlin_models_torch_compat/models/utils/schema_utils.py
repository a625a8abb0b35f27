"""``merlin.models.utils.schema_utils``: columns made, and facts about them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from merlin.schema import ColumnSchema, Tags
from merlin.schema.io.tensorflow_metadata import TensorflowMetadata

from merlin_models_torch.storage import whole_file


def select_targets(schema: Any, extra_tags: Any = None) -> Any:
    """The columns tagged BINARY_CLASSIFICATION, TARGET or REGRESSION, and those of further tags."""
    found = schema.select_by_tag(Tags.BINARY_CLASSIFICATION)
    for tags in (Tags.TARGET, Tags.REGRESSION, *([extra_tags] if extra_tags else [])):
        found += schema.select_by_tag(tags)
    return found


def schema_to_tensorflow_metadata_json(schema: Any, path: str | None = None) -> str:
    """A schema as JSON, also written to a file."""
    text: str = TensorflowMetadata.from_merlin_schema(schema).to_json()
    if path:
        with whole_file(Path(path)) as work:
            work.write_text(text, encoding="utf-8")
    return text


def tensorflow_metadata_json_to_schema(value: str) -> Any:
    """A schema from JSON, or from a file of it."""
    text = Path(value).read_text(encoding="utf-8") if len(value) < 4096 and Path(value).is_file() else value
    return TensorflowMetadata.from_json(text).to_merlin_schema()


def create_categorical_column(
    name: str,
    num_items: int,
    dtype: Any = np.int32,
    domain_name: str | None = None,
    tags: Any = None,
    properties: dict[str, Any] | None = None,
    min_value_count: int | None = None,
    max_value_count: int | None = None,
) -> Any:
    """A column of ids from 0 to ``num_items``; a list where value counts are given."""
    known = dict(properties or {})
    if num_items:
        known["domain"] = {"name": domain_name or name, "min": 0, "max": num_items}
    own = [*(tags or []), *([] if Tags.CATEGORICAL in (tags or []) else [Tags.CATEGORICAL])]
    lists = {} if min_value_count is None else {"dims": ((0, None), (min_value_count, max_value_count))}
    return ColumnSchema(name=name, tags=own, dtype=dtype, properties=known, **lists)


def create_continuous_column(
    name: str,
    dtype: Any = np.float32,
    tags: Any = None,
    properties: dict[str, Any] | None = None,
    min_value: float | None = None,
    max_value: float | None = None,
) -> Any:
    """A column of numbers."""
    known = dict(properties or {})
    domain = {key: v for key, v in (("min", min_value), ("max", max_value)) if v is not None}
    if domain:
        known["domain"] = domain
    own = [*(tags or []), *([] if Tags.CONTINUOUS in (tags or []) else [Tags.CONTINUOUS])]
    return ColumnSchema(name=name, tags=own, properties=known, dtype=dtype)


def filter_dict_by_schema(input_dict: dict[str, Any], schema: Any) -> dict[str, Any]:
    """The entries that are columns of a schema."""
    return {key: value for key, value in input_dict.items() if key in schema.column_names}


def categorical_cardinalities(schema: Any) -> dict[str, int]:
    """The largest id and one, by categorical column that has a domain."""
    return {c.name: c.int_domain.max + 1 for c in schema if Tags.CATEGORICAL in c.tags and c.int_domain}


def categorical_domains(schema: Any) -> dict[str, str]:
    """Name of the domain, or of the column itself, by categorical column."""
    categorical = [column for column in schema if Tags.CATEGORICAL in column.tags]
    return {c.name: (c.int_domain and c.int_domain.name) or c.name for c in categorical}


def get_embedding_sizes_from_schema(
    schema: Any, multiplier: float = 2.0, ensure_multiple_of_8: bool = False
) -> dict[str, int]:
    """A width for a table of each categorical column."""
    return {
        name: get_embedding_size_from_cardinality(rows, multiplier, ensure_multiple_of_8)
        for name, rows in categorical_cardinalities(schema).items()
    }


def col_is_list(col: Any) -> bool:
    """Whether a column has lists, or is tagged as having them."""
    return Tags.SEQUENCE in col.tags or Tags.LIST in col.tags or col.is_list


def get_embedding_size_from_cardinality(
    cardinality: float, multiplier: float = 2.0, ensure_multiple_of_8: bool = False
) -> int:
    """``multiplier`` times the fourth root of a number of rows, rounded up."""
    size = math.ceil(math.pow(cardinality, 0.25) * multiplier)
    return math.ceil(size / 8) * 8 if ensure_multiple_of_8 else size


def infer_embedding_dim(col_schema: Any, multiplier: float = 2.0, ensure_multiple_of_8: bool = True) -> int:
    """A width for a table of one column."""
    return get_embedding_size_from_cardinality(
        col_schema.int_domain.max + 1, multiplier, ensure_multiple_of_8
    )
