"""A table of events as arrays: distinct keys as numbers, sorted by session and time, rare ones left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from merlin_models_torch.data.errors import DataError
from merlin_models_torch.data.source import Source
from merlin_models_torch.data.vocabulary import dictionary, without_nan
from merlin_models_torch.parquet.file import first_line
from merlin_models_torch.schema.facts import is_list

Ints = NDArray[np.int64]
Use = Literal["categorical", "continuous"]


@dataclass(frozen=True)
class Coded:
    """A column as positions in its distinct values.

    Args:
        codes: (E,) int32 position of each event's value, -1 where it is missing.
        values: (V,) the distinct values in their original form.
    """

    codes: NDArray[np.int32]
    values: pa.Array


@dataclass(frozen=True)
class Order:
    """Events sorted by session and time.

    Args:
        events: (K,) int64 events that are kept, sorted.
        offsets: (S + 1,) int64, session ``s`` is ``events[offsets[s]:offsets[s + 1]]``.
        users: (S,) int64 position of each session's key in the distinct keys.
    """

    events: Ints
    offsets: Ints
    users: Ints


def read_column(source: Source, name: str, *, encoded: bool = False) -> pa.ChunkedArray:
    """One column of all events.

    Args:
        source: the events.
        name: of the column.
        encoded: whether it may come as positions in dictionaries, of int32.

    Raises:
        DataError: if a file lacks it, or it holds lists.
    """
    for file, schema in source.schemas():
        kind = _type_of(name, schema, file)
        if is_list(kind) or pa.types.is_struct(kind):
            raise DataError(f"column {name!r} of {file} has type {kind}, expected one value an event")
    columns = [source.read(part, [name], encoded=encoded).column(0) for part in source.parts]
    if encoded and any(pa.types.is_dictionary(column.type) for column in columns):
        columns = [_encoded(column) for column in columns]
    kinds = {column.type for column in columns if not pa.types.is_null(column.type)}
    if len(kinds) > 1:
        raise DataError(
            f"column {name!r} has types {sorted(map(str, kinds))} in different files: cast them alike"
        )
    kind = next(iter(kinds), pa.null())
    columns = [
        column if column.type == kind else pa.chunked_array([pa.nulls(len(column), kind)])
        for column in columns
    ]
    return pa.chunked_array([chunk for column in columns for chunk in column.chunks], kind)


def _type_of(name: str, schema: pa.Schema, file: str) -> pa.DataType:
    if name not in schema.names:
        raise DataError(f"column {name!r} is not in {file}, which has {schema.names}: name one of these")
    if schema.names.count(name) > 1:
        raise DataError(f"column {name!r} is in {file} {schema.names.count(name)} times: rename the others")
    return schema.field(name).type


def _encoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_null(column.type):
        return column
    if not pa.types.is_dictionary(column.type):
        return column.dictionary_encode()
    return column.cast(pa.dictionary(pa.int32(), column.type.value_type))


def read_codes(source: Source, name: str, *, nulls: bool = False) -> Coded:
    """A column of ids of any type as positions in its distinct values, in order of first occurrence.

    Raises:
        DataError: if a value is missing and ``nulls`` is False.
    """
    column = without_nan(read_column(source, name, encoded=True))
    if column.null_count and not nulls:
        raise missing(name, column)
    encoded = dictionary(column)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return Coded(codes, encoded.dictionary)


def read_time(source: Source, name: str) -> tuple[NDArray[Any], pa.DataType]:
    """The time of each event as (E,) int64 or float64, and the type it had.

    Raises:
        DataError: if it is no time and no number, or missing.
    """
    column = read_column(source, name)
    kind = column.type
    if column.null_count:
        raise missing(name, column)
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32()).cast(pa.int64()) if kind.bit_width == 32 else column.cast(pa.int64())
    elif pa.types.is_integer(kind):
        try:
            column = column.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise DataError(
                f"time column {name!r} has numbers of 2**63 or more: mend or cast them"
            ) from error
    elif pa.types.is_floating(kind):
        column = column.cast(pa.float64())
    else:
        raise DataError(
            f"time column {name!r} has type {kind}, expected a timestamp or a number: cast it first"
        )
    times: NDArray[Any] = column.to_numpy()
    if times.dtype.kind == "f" and not np.isfinite(times).all():
        raise DataError(f"time column {name!r} holds values that are not finite: leave these events out")
    return times, kind


def read_numbers(source: Source, name: str) -> NDArray[np.float32]:
    """A continuous column as (E,) float32.

    Raises:
        DataError: if a value is missing, not finite or no number.
    """
    column = read_column(source, name)
    if column.null_count:
        raise missing(name, column)
    try:
        numbers: NDArray[np.float32] = column.cast(pa.float64()).to_numpy().astype(np.float32)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"continuous column {name!r} has type {column.type}, expected numbers ({first_line(error)}): "
            "cast it first, or make it categorical"
        ) from error
    bad = ~np.isfinite(numbers)
    if bad.any():
        raise DataError(
            f"column {name!r} has {bad.sum()} values that are not finite numbers, the first in event "
            f"{bad.argmax()}: fill them first"
        )
    return numbers


def missing(name: str, column: pa.ChunkedArray) -> DataError:
    """The error for missing values."""
    first = int(np.argmax(column.is_null().to_numpy()))
    return DataError(
        f"column {name!r} has {column.null_count} missing values, the first in event {first}: "
        "fill them or leave these events out"
    )


def use_of(source: Source, name: str) -> Use:
    """Whether a column is categorical or continuous, by its type."""
    for file, schema in source.schemas():
        kind = _type_of(name, schema, file)
        return "continuous" if pa.types.is_floating(kind) or pa.types.is_decimal(kind) else "categorical"
    raise DataError("there are no files")


def sort_events(
    users: NDArray[np.int32],
    items: NDArray[np.int32],
    times: NDArray[Any] | None,
    *,
    min_length: int,
    min_item_count: int,
) -> Order:
    """Events by session, then time, then their order in the table.

    Sessions shorter than ``min_length`` and items rarer than ``min_item_count`` are left out, again and again
    until all that is left has as many.

    Raises:
        DataError: if nothing is left.
    """
    kept = np.arange(len(users))
    while True:
        common = np.bincount(items[kept])[items[kept]] >= min_item_count
        kept = kept[common]
        long = np.bincount(users[kept])[users[kept]] >= min_length
        kept = kept[long]
        if common.all() and long.all():
            break
    if not len(kept):
        raise DataError(
            f"no event is left: no session has {min_length} items that occur {min_item_count} times; "
            "lower min_length or min_item_count"
        )
    if times is None:
        order = np.argsort(users[kept], kind="stable")
    else:
        order = np.lexsort((times[kept], users[kept]))
    kept = kept[order]
    own = users[kept]
    starts = np.flatnonzero(np.diff(own, prepend=-1))
    return Order(kept, np.append(starts, len(kept)), own[starts].astype(np.int64))
