"""What a model takes and predicts, as schemas of ``merlin.schema``."""

from __future__ import annotations

from typing import Any

import numpy as np
from merlin_standard_lib import Schema as LegacySchema
from merlin_standard_lib.proto.schema_bp import FeatureType


def input_schema(model: Any) -> Any:
    """The columns that a model's heads take; those of merlin_standard_lib in the form 23.12.0 gives them."""
    schemas = [head.body.inputs.schema for head in model.heads]
    if not any(isinstance(schema, LegacySchema) for schema in schemas):
        return sum(schemas[1:], schemas[0])
    from merlin.schema import Schema

    return Schema([_column(column) for column in sum(schemas, LegacySchema())])


def _column(column: Any) -> Any:
    """A column whose floating-point numbers have 32 bits, its domain under the name of the file's part."""
    from merlin.schema import ColumnSchema

    counts, domain = column.value_count, column.int_domain
    return ColumnSchema(
        column.name,
        dtype=np.int64 if column.type == FeatureType.INT else np.float32,
        tags=[getattr(tag, "value", tag) for tag in column.tags],
        properties={"int_domain": {"min": domain.min, "max": domain.max}},
        dims=(None, (counts.min, counts.max)) if counts.max else None,
    )


def output_schema(model: Any) -> Any:
    """The columns of a model's predictions: scores by task, or scores and item ids with ``top_k``."""
    from merlin.schema import ColumnSchema, Schema, Tags

    from transformers4rec.torch.model.prediction_task import BinaryClassificationTask, RegressionTask

    columns = []
    for task in model.prediction_tasks:
        properties = {"int_domain": {"min": task.target_dim, "max": task.target_dim}}
        dims: Any = (None, task.target_dim)
        if isinstance(task, BinaryClassificationTask | RegressionTask):
            dims = (None,) if task.summary_type else (None, (1, None))
        if not model.top_k:
            columns.append(ColumnSchema(task.task_name, dtype=np.float32, properties=properties, dims=dims))
            continue
        item = next(iter(model.input_schema.select_by_tag(Tags.ITEM_ID)))
        kinds = {"item_id_scores": np.float32, "item_ids": np.dtype(item.dtype.name)}
        columns += [
            ColumnSchema(name, dtype=dtype, properties=properties, dims=dims) for name, dtype in kinds.items()
        ]
    return Schema(columns)
