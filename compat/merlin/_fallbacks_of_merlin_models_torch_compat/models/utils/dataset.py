"""``merlin.models.utils.dataset``: columns of a data set by their tags, and its rows without repetition."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from merlin.io import Dataset
from merlin.schema import Schema, Tags


def get_schema(dataset_or_schema: Any) -> Any:
    """The schema of a data set, or a schema itself.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(dataset_or_schema, Dataset):
        return dataset_or_schema.schema
    if isinstance(dataset_or_schema, Schema):
        return dataset_or_schema
    raise ValueError(f"expected a Dataset or a Schema, got a {type(dataset_or_schema).__name__}")


def _name(dataset_or_schema: Any, tag: Any) -> str:
    names = get_schema(dataset_or_schema).select_by_tag(tag).column_names
    if not names:
        raise ValueError(f"no column has the tag {tag}: add it to the schema")
    return str(names[0])


def get_user_id_column_name(dataset_or_schema: Any) -> str:
    """Name of the first column tagged USER_ID.

    Raises:
        ValueError: if there is none.
    """
    return _name(dataset_or_schema, Tags.USER_ID)


def get_item_id_column_name(dataset_or_schema: Any) -> str:
    """Name of the first column tagged ITEM_ID.

    Raises:
        ValueError: if there is none.
    """
    return _name(dataset_or_schema, Tags.ITEM_ID)


def get_target_column_name(dataset_or_schema: Any) -> str | None:
    """Name of the column tagged TARGET, or None.

    Raises:
        ValueError: if there are several.
    """
    names = get_schema(dataset_or_schema).select_by_tag(Tags.TARGET).column_names
    if len(names) > 1:
        raise ValueError(f"the columns {names} have the tag TARGET, expected one: choose among them")
    return names[0] if names else None


def unique_by_tag(dataset: Any, features_tag: Any, grouping_tag: Any = Tags.ID) -> Any:
    """The columns of one tag, with the first row of each id.

    Args:
        dataset: the rows.
        features_tag: of the columns to keep.
        grouping_tag: of the column among these whose values shall not come twice.

    Returns:
        A data set of these columns; of all rows as they are where no column has ``features_tag``.

    Raises:
        ValueError: if no column kept has ``grouping_tag``.
    """
    schema = dataset.schema.select_by_tag(features_tag)
    if not schema.column_names:
        return Dataset(dataset.to_ddf().compute(), schema=schema)
    rows = dataset.to_ddf()[schema.column_names].compute()
    rows = rows.drop_duplicates(_name(schema, grouping_tag), keep="first").reset_index(drop=True)
    return Dataset(rows, schema=schema)


def unique_rows_by_features(dataset: Any, features_tag: Any, grouping_tag: Any = Tags.ID) -> Any:
    """The former name of :func:`unique_by_tag`."""
    text = "unique_rows_by_features is the former name of unique_by_tag: write that"
    warnings.warn(text, DeprecationWarning, stacklevel=2)
    return unique_by_tag(dataset, features_tag, grouping_tag)


def dataset_to_coo(dataset: Any, target_column: str | None = None) -> Any:
    """Users by items as a sparse matrix of SciPy.

    Args:
        dataset: with a column of user ids and one of item ids.
        target_column: of the values; the column tagged TARGET if not given, 1 where there is none.

    Returns:
        ``scipy.sparse.coo_matrix`` of float32, as large as the largest ids.

    Raises:
        ImportError: if SciPy is not installed.
    """
    try:
        from scipy.sparse import coo_matrix
    except ImportError as error:
        raise ImportError("dataset_to_coo gives a matrix of SciPy: install scipy") from error

    users, items = get_user_id_column_name(dataset), get_item_id_column_name(dataset)
    target = target_column or get_target_column_name(dataset)
    rows = dataset.to_ddf()[[users, items, *([target] if target else [])]].compute()
    values = rows[target].to_numpy() if target else np.ones(len(rows))
    return coo_matrix((values.astype("float32"), (rows[users].to_numpy(), rows[items].to_numpy())))
