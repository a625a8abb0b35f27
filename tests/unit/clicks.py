"""Small tables without sequences, and sequences with labels, that tests share."""

import numpy as np
import pyarrow as pa

from merlin_models_torch.schema import ColumnSchema, Schema, Tags
from tests.unit.schemas import categorical, continuous


def click_schema() -> Schema:
    """A user, an item, a number, and two targets: a click and a rating."""
    return Schema(
        [
            categorical("user_id", 12, Tags.USER_ID, lists=False),
            categorical("item_id", 9, Tags.ITEM_ID, lists=False),
            continuous("age", lists=False),
            ColumnSchema("click", tags=[Tags.TARGET, Tags.BINARY_CLASSIFICATION], dtype="int64"),
            ColumnSchema("rating", tags=[Tags.TARGET, Tags.REGRESSION], dtype="float32"),
            ColumnSchema("weight", dtype="float32"),
        ]
    )


def click_table(rows: int = 120, *, seed: int = 0) -> pa.Table:
    """Rows of :func:`click_schema`: even items are clicked, and the rating is the age doubled."""
    rng = np.random.default_rng(seed)
    items = rng.integers(1, 10, rows)
    age = rng.random(rows, dtype=np.float32)
    return pa.table(
        {
            "user_id": rng.integers(1, 13, rows),
            "item_id": items,
            "age": age,
            "click": (items % 2 == 0).astype(np.int64),
            "rating": 2 * age,
            "weight": rng.random(rows, dtype=np.float32),
        }
    )
