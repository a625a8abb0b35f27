"""``merlin.datasets.synthetic``: random rows of a schema, or of one of the known data sets."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from merlin.core.dispatch import get_lib
from merlin.datasets._known import FOLDER, KNOWN_DATASETS, read_known
from merlin.io import Dataset
from merlin.models._legacy import legacy
from merlin.schema import Schema, Tags
from merlin.schema.io.tensorflow_metadata import TensorflowMetadata
from numpy.typing import NDArray

__all__ = [
    "KNOWN_DATASETS",
    "generate_conditional_features",
    "generate_data",
    "generate_random_list_feature",
    "generate_user_item_interactions",
]


@legacy
def generate_data(
    input: Any,
    num_rows: int,
    set_sizes: Sequence[float] = (1.0,),
    min_session_length: int | None = None,
    max_session_length: int | None = None,
    device: str = "cpu",
) -> Any:
    """Random rows, as a data set or as several.

    The draws come from NumPy's global state: ``np.random.seed`` repeats them.

    Args:
        input: name of a known data set, a schema, or where one is: a ``schema.json``, a ``schema.pbtxt`` or
            a folder of one.
        num_rows: rows of all sets together.
        set_sizes: share of the rows that each set has; ``(1.0,)`` gives one data set, not a tuple.
        min_session_length: fewest values of a list. All list columns have the same lengths, as in 23.12:
            where none is given, those of the first. A schema that is given takes them over.
        max_session_length: most values of a list; shorter ones are padded with zeros to it.
        device: "cpu".

    Returns:
        A ``merlin.io.Dataset``, or a tuple of them.

    Raises:
        ValueError: for an unknown name, another device, or a schema that says too little of a column.
    """
    schema = _schema_of(input)
    shortest, longest = min_session_length, max_session_length
    for name in schema.column_names:
        shape = schema[name].shape
        if shape.is_list:
            shortest, longest = shortest or shape.dims[1].min, longest or shape.dims[1].max
            schema[name] = schema[name].with_shape(((0, None), (shortest, longest)))
    rows = generate_user_item_interactions(schema, num_rows, device=device)
    if list(set_sizes) == [1.0]:
        return Dataset(rows, schema=schema)
    counts = [int(len(rows) * size) for size in set_sizes]
    ends = np.cumsum(counts)
    return tuple(
        Dataset(rows.iloc[end - count : end], schema=schema) for count, end in zip(counts, ends, strict=True)
    )


@legacy
def generate_user_item_interactions(schema: Any, num_interactions: int, device: str = "cpu") -> Any:
    """Random interactions of users with items, and what is known of both.

    Ids of sessions, users and items are log-normal, few of them frequent. Other ids of a session, a user or
    an item are ranges of equal width of its id; numbers and lists are drawn for each row.

    Args:
        schema: of the columns, one of them tagged ITEM_ID.
        num_interactions: rows.
        device: "cpu".

    Returns:
        A pandas frame: sessions, users, items, binary targets, then other columns.

    Raises:
        ValueError: if no column is tagged ITEM_ID, the schema says too little of one, there is no row to
            draw, or the device is not "cpu".
    """
    _check_device(device)
    if num_interactions < 1:
        raise ValueError(f"{num_interactions} rows were asked for: ask for one or more")
    data = get_lib().DataFrame()
    done: list[str] = []
    for tag, id_tag in (
        (Tags.SESSION, Tags.SESSION_ID),
        (Tags.USER, Tags.USER_ID),
        (Tags.ITEM, Tags.ITEM_ID),
    ):
        ids = schema.select_by_tag(id_tag)
        if not len(ids):
            if id_tag is Tags.ITEM_ID:
                raise ValueError(
                    f"Item ID column is required: none of {schema.column_names} is tagged ITEM_ID, tag one so"
                )
            continue
        features = list(schema.select_by_tag(tag).excluding_by_tag(id_tag))
        data[ids.first.name] = _ids(ids.first, num_interactions, lists=id_tag is Tags.ITEM_ID)
        data = generate_conditional_features(data, features, ids.first)
        done += [ids.first.name, *(feature.name for feature in features)]
    others = schema.excluding_by_name(done)
    for column in others.select_by_tag(Tags.BINARY_CLASSIFICATION):
        data[column.name] = np.random.randint(0, 2, num_interactions).astype(_dtype(column))
    for column in others.excluding_by_tag(Tags.BINARY_CLASSIFICATION):
        data[column.name] = _independent(column, num_interactions)
    return data


def generate_conditional_features(
    data: Any, features: Iterable[Any], parent_feature: Any, device: str = "cpu"
) -> Any:
    """Adds columns that follow from another one.

    Args:
        data: a pandas frame with the other column; it gets the new ones.
        features: columns to add.
        parent_feature: the other column.
        device: "cpu".

    Returns:
        The frame.

    Raises:
        ValueError: if a column of whole numbers has no domain, or one smaller than 2, or the other has lists.
    """
    _check_device(device)
    for feature in features:
        if feature.is_list:
            data[feature.name] = generate_random_list_feature(feature, len(data))
        elif _is_integer(feature):
            data[feature.name] = _ranges(feature, data[parent_feature.name], parent_feature.name)
        else:
            data[feature.name] = np.random.uniform(*_bounds(feature.float_domain, (0.0, 1.0)), len(data))
    return data


def generate_random_list_feature(feature: Any, num_interactions: int, device: str = "cpu") -> list[Any]:
    """Random lists, one a row, padded with zeros to the longest there may be.

    Args:
        feature: a list column; without a largest length all its lists are of the smallest.
        num_interactions: rows.
        device: "cpu".

    Returns:
        Arrays of one length, of the column's type if it is of whole numbers, otherwise of float64.

    Raises:
        ValueError: if a column of whole numbers has no domain.
    """
    _check_device(device)
    shortest, longest = feature.shape.dims[1].min, feature.shape.dims[1].max
    shape = (num_interactions, longest or shortest)
    if _is_integer(feature):
        values = np.random.randint(1, _largest(feature), shape).astype(_dtype(feature))
    else:
        values = np.random.uniform(*_bounds(feature.float_domain, (0.0, 1.0)), shape)
    if longest and shortest != longest:
        lengths = np.random.randint(shortest, longest + 1, num_interactions)
        values[np.arange(longest) >= lengths[:, None]] = 0
    return list(values)


def _schema_of(given: Any) -> Any:
    if isinstance(given, Schema):
        return given
    if not isinstance(given, str | os.PathLike):
        raise ValueError(
            f"input is a {type(given).__name__}, expected a Schema, the name of a known data set or a path"
        )
    path = Path(KNOWN_DATASETS.get(str(given), given))
    if not path.exists():
        near = difflib.get_close_matches(str(given), KNOWN_DATASETS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the known ones are {sorted(KNOWN_DATASETS)}"
        raise ValueError(f"Unknown dataset {str(given)!r}, {hint}")
    if path.is_dir():
        path = path / ("schema.json" if (path / "schema.json").exists() else "schema.pbtxt")
    if path.parent == FOLDER:
        return read_known(path)
    as_text = path.suffix in (".pb", ".pbtxt")
    read = TensorflowMetadata.from_proto_text_file if as_text else TensorflowMetadata.from_json_file
    return read(str(path.parent), path.name).to_merlin_schema()


def _check_device(device: str) -> None:
    if device != "cpu":
        raise ValueError(f"device is {device!r}, rows are drawn on the CPU here: leave it out, or give 'cpu'")


def _is_integer(column: Any) -> bool:
    return bool(np.issubdtype(_dtype(column), np.integer))


def _dtype(column: Any) -> np.dtype[Any]:
    """The type of the values; float64 where the schema does not say."""
    if column.dtype is None or column.dtype.name == "unknown":
        return np.dtype(np.float64)
    return np.dtype(column.dtype.to_numpy)


def _largest(column: Any) -> int:
    domain = column.int_domain
    if domain is None or domain.max is None:
        raise ValueError(
            f"column {column.name!r} has no largest value: Int domain is required, give the column "
            "properties={'domain': {'min': 0, 'max': ...}}"
        )
    return int(domain.max)


def _bounds(domain: Any, otherwise: tuple[Any, Any]) -> tuple[Any, Any]:
    return (domain.min, domain.max) if domain else otherwise


def _ids(column: Any, rows: int, *, lists: bool) -> Any:
    """Ids from 1 on; only those of items may be lists, which have no padding."""
    shape: tuple[int, ...] = (rows,)
    if lists and column.shape.is_list:
        shape = (rows, column.shape.dims[1].max or column.shape.dims[1].min)
    drawn = np.random.lognormal(3.0, 1.0, shape).astype(np.int32)
    ids = np.clip(drawn, 1, _largest(column)).astype(_dtype(column))
    return ids if len(shape) == 1 else list(ids)


def _ranges(column: Any, parent: Any, parent_name: str) -> NDArray[Any]:
    """The number, from 1 on, of the range of equal width that a value of the parent lies in."""
    count = _largest(column) - 1
    if count < 1:
        raise ValueError(
            f"column {column.name!r} follows from {parent_name!r} in {count} ranges: "
            "its domain has to reach to 2 or further"
        )
    if parent.dtype == object:
        raise ValueError(
            f"column {column.name!r} has one value a row, but follows from {parent_name!r}, which has lists: "
            "make it a list column, or take its tag away"
        )
    values = parent.to_numpy()
    low, high = float(values.min()), float(values.max())
    if low == high:
        around = 0.001 * abs(low) or 0.001
        low, high = low - around, high + around
    edges = np.linspace(low, high, count + 1)
    return (np.searchsorted(edges[1:-1], values, side="left") + 1).astype(_dtype(column))


def _independent(column: Any, rows: int) -> Any:
    if column.is_list:
        return generate_random_list_feature(column, rows)
    dtype = _dtype(column)
    if not _is_integer(column):
        return np.random.uniform(*_bounds(column.float_domain, (0.0, 1.0)), rows).astype(dtype)
    low, high = _bounds(column.int_domain, (0, 1))
    if not low < high:
        raise ValueError(
            f"column {column.name!r} has the domain {low} to {high}, the largest is never drawn: widen it"
        )
    return np.random.randint(low, high, rows, dtype=dtype)
