"""What a model's predictions look like, as a schema."""

from __future__ import annotations

from typing import Any

import numpy as np


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
