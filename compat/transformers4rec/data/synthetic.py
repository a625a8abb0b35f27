"""Random interactions of sessions with items, from a schema."""

from __future__ import annotations

from typing import Any

import merlin_standard_lib as msl
import numpy as np
from merlin.schema import Tags
from numpy.typing import NDArray

from merlin_models_torch.schema import ColumnSchema as CoreColumn
from transformers4rec._legacy import elsewhere, legacy

__getattr__ = elsewhere(__name__, {"merlin_standard_lib": "Schema"})


@legacy
def generate_session_interactions(
    num_interactions: int,
    schema: Any,
    maximum_length: int = 20,
    minmum_length: int = 2,
    device: str = "gpu",
) -> Any:
    """Random sessions, one a row, items in lists.

    Args:
        num_interactions: interactions that are drawn; sessions that are too short lose theirs.
        schema: of the columns, one of them tagged as session id and one as item id.
        maximum_length: items of a session that are kept, the first ones.
        minmum_length: sessions with fewer are left out.
        device: not used.

    Returns:
        A pandas frame of columns ``<name>-first`` of the session and ``<name>-list_trim`` of items.
    """
    from transformers4rec.utils.data_utils import session_aggregator

    events = generate_item_interactions(num_interactions, schema)
    return session_aggregator(
        schema, events, maximum_length=maximum_length, minimum_length=minmum_length, device=device
    )


@legacy
def generate_item_interactions(num_interactions: int, schema: Any) -> Any:
    """Random interactions, one a row, with what is known of their session and their item.

    Args:
        num_interactions: rows.
        schema: of the columns, one of them tagged as session id and one as item id. Columns tagged SESSION
            have one value in a session; ids tagged ITEM follow from the item, numbers are drawn anew.

    Returns:
        A pandas frame.

    Raises:
        ValueError: if no column is tagged as session or as item id.
    """
    import pandas as pd

    columns = msl.Schema(list(schema))
    session, item = (_tagged(columns, tag) for tag in (Tags.SESSION_ID, Tags.ITEM_ID))
    sessions = np.random.randint(1, int(session.int_domain.max), num_interactions)
    items = np.random.lognormal(3.0, 1.0, num_interactions).astype(np.int64)
    items = items.clip(1, int(item.int_domain.max))
    data: dict[str, NDArray[Any]] = {session.name: sessions, item.name: items}
    _, of_session = np.unique(sessions, return_inverse=True)
    for column in columns.select_by_tag(Tags.SESSION):
        data[column.name] = _of_session(column, int(of_session.max(initial=-1)) + 1)[of_session]
    for column in columns.select_by_tag(Tags.ITEM):
        data[column.name] = _of_item(column, items)
    return pd.DataFrame(data)


def _tagged(schema: Any, tag: Any) -> Any:
    found = schema.select_by_tag(tag)
    if not len(found):
        raise ValueError(f"no column of {schema.column_names} has the tag {tag.name}: add it to the schema")
    return found.first


def _of_session(column: Any, count: int) -> NDArray[Any]:
    """One value for each session."""
    if column.float_domain or not column.int_domain:
        return np.random.uniform(column.float_domain.min, column.float_domain.max, count)
    if Tags.BINARY_CLASSIFICATION in column.tags:
        return np.random.randint(0, 2, count)
    return np.random.randint(1, max(int(column.int_domain.max), 2), count)


def _of_item(column: CoreColumn, items: NDArray[np.int64]) -> NDArray[Any]:
    """Ids are ranges of item ids of equal width, one less of them than the domain is large."""
    if column.float_domain or not column.int_domain:
        low, high = column.float_domain.min, column.float_domain.max  # type: ignore[union-attr]
        return np.random.uniform(low or 0, high or 0, len(items))
    bins = int(column.int_domain.max or 0) - 1
    edges = np.linspace(items.min(initial=1), items.max(initial=1), bins + 1)
    return np.searchsorted(edges[1:-1], items, side="left") + 1


def _ecommerce() -> Any:
    counts = msl.schema.ValueCount(1, 20)
    categorical, continuous = msl.ColumnSchema.create_categorical, msl.ColumnSchema.create_continuous
    return msl.Schema(
        [
            categorical("session_id", num_items=5000, tags=["session_id"]),
            categorical("item_id", num_items=10000, tags=[Tags.ITEM_ID, Tags.LIST], value_count=counts),
            categorical("category", num_items=100, tags=[Tags.LIST, Tags.ITEM], value_count=counts),
            continuous(
                "item_recency", min_value=0, max_value=1, tags=[Tags.LIST, Tags.ITEM], value_count=counts
            ),
            categorical("day", num_items=11, tags=[Tags.SESSION]),
            categorical("purchase", num_items=3, tags=[Tags.SESSION, Tags.BINARY_CLASSIFICATION]),
            continuous("price", min_value=0, max_value=1, tags=[Tags.SESSION, Tags.REGRESSION]),
        ]
    )


synthetic_ecommerce_data_schema = _ecommerce()
