"""Arrow columns as tensors: buffers are copied once, nothing becomes a Python list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from merlin_models_torch.batch import Column, Ragged
from merlin_models_torch.data.errors import DataError
from merlin_models_torch.schema.facts import is_list, is_list_view

Kind = Literal["scalar", "list", "vector"]


def leaf_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values inside lists and dictionaries."""
    while is_list(kind) or pa.types.is_dictionary(kind):
        kind = kind.value_type
    return kind


def is_integer_like(kind: pa.DataType) -> bool:
    """Whether values of this type become int64: integers, bool, dates and times."""
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether values of this type can become numbers of a tensor."""
    return is_integer_like(kind) or bool(pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def to_column(
    array: pa.ChunkedArray, kind: Kind, *, where: str, first_row: int = 0, numbers: bool = False
) -> Column:
    """A column of an Arrow table as a tensor or a ragged column.

    Args:
        array: numbers, bool, dates or times; lists of these (list, large list, fixed-size list, list view);
            lists of vectors or of lists of ids. Slices and chunks of these. A null list is an empty list.
        kind: "scalar" for a value a row, "list" for a ragged column, "vector" for lists of one length that
            become one (B, D) matrix.
        numbers: whether inner lists are numbers of which each list has as many as it has, not ids or vectors.
        where: names the column and its file in errors.
        first_row: number of the first row, for errors.

    Returns:
        (B,) or (B, D) tensor, or :class:`Ragged` with values (L,) or (L, D). Inner lists of integers are
        filled up with 0 to the longest, those of ``numbers`` become floats filled up with nan. Values keep
        their width; unsigned integers become signed, dates and times integers, decimals float64.

    Raises:
        DataError: if there is a null that is not a whole list, or a type that holds no numbers.
    """
    lengths: list[NDArray[np.int64]] = []
    values: list[NDArray[np.generic]] = []
    row = first_row
    for chunk in array.chunks or [pa.array([], array.type)]:
        chunk = _plain(chunk)
        if kind == "scalar":
            values.append(_numbers(chunk, where, row, None))
        elif kind == "vector":
            values.append(_vectors(chunk, where, row, None))
        else:
            sizes = _lengths(chunk)
            inner = _plain(chunk.flatten())
            if is_list(inner.type) and (numbers or is_integer_like(leaf_type(inner.type))):
                values.append(_filled_up(inner, where, row, sizes, numbers=numbers))
            else:
                convert = _vectors if is_list(inner.type) else _numbers
                values.append(convert(inner, where, row, sizes))
            lengths.append(sizes)
        row += len(chunk)
    joined = _joined(_of_one_width(values, numbers=numbers) if kind == "list" else values, where)
    if kind != "list":
        return joined
    offsets = torch.zeros(row - first_row + 1, dtype=torch.int64)
    torch.cumsum(_joined(lengths, where), 0, out=offsets[1:])
    return Ragged(joined, offsets)


def _plain(chunk: pa.Array) -> pa.Array:
    """The same rows without extension, dictionary or list view."""
    if isinstance(chunk, pa.ExtensionArray):
        chunk = chunk.storage
    if pa.types.is_dictionary(chunk.type):
        chunk = chunk.dictionary_decode()
    return _of_view(chunk) if is_list_view(chunk.type) else chunk


def _of_view(chunk: pa.Array) -> pa.Array:
    """A list view as a list; Arrow's own cast of one ended the process with pyarrow 26."""
    lengths = chunk.sizes.to_numpy().astype(np.int64)
    lengths[chunk.is_null().to_numpy(zero_copy_only=False)] = 0
    offsets = np.append(0, np.cumsum(lengths))
    places = np.repeat(chunk.offsets.to_numpy() - offsets[:-1], lengths) + np.arange(offsets[-1])
    return pa.LargeListArray.from_arrays(pa.array(offsets), chunk.values.take(pa.array(places)))


def _lengths(chunk: pa.Array) -> NDArray[np.int64]:
    if pa.types.is_fixed_size_list(chunk.type):
        lengths = np.full(len(chunk), chunk.type.list_size, np.int64)
    else:
        lengths = np.diff(_shared(chunk.offsets)).astype(np.int64)
    if chunk.null_count:
        lengths[chunk.is_null().to_numpy(zero_copy_only=False)] = 0
    return lengths


def _vectors(chunk: pa.Array, where: str, row: int, lengths: NDArray[np.int64] | None) -> NDArray[np.generic]:
    _no_nulls(chunk, where, row, lengths)
    sizes = _lengths(chunk)
    size = int(sizes[0]) if len(sizes) else 0
    if (sizes != size).any():
        raise DataError(
            f"{where} has vectors of {size} and of {sizes[sizes != size][0]} values: give all one width"
        )
    numbers = _numbers(_plain(chunk.flatten()), where, row, sizes if lengths is None else lengths * size)
    return numbers.reshape(len(chunk), size)


def _filled_up(
    chunk: pa.Array, where: str, row: int, lengths: NDArray[np.int64], *, numbers: bool
) -> NDArray[np.generic]:
    """Lists of ids as rows of a matrix, with 0 after the end of each, or of numbers, with nan."""
    sizes = _lengths(chunk)
    inner = _plain(chunk.flatten())
    if is_list(inner.type):
        raise DataError(
            f"{where} has lists inside lists inside lists, expected two levels: flatten one of them"
        )
    totals = _totals(sizes, lengths)
    values = _numbers(inner, where, row, totals)
    if numbers:
        values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
        if np.isnan(values).any():
            first = np.searchsorted(np.cumsum(totals), np.argmax(np.isnan(values)), side="right")
            raise DataError(
                f"{where} has {np.isnan(values).sum()} values that are not finite numbers, the first in row "
                f"{row + first}: fill them or leave these rows out"
            )
    inside = np.arange(sizes.max(initial=0)) < sizes[:, None]
    matrix = np.full(inside.shape, np.nan if numbers else 0, values.dtype)
    matrix[inside] = values
    return matrix


def _totals(sizes: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Values in each row, of inner lists with these sizes of which each row has so many."""
    ends: NDArray[np.int64] = np.append(0, sizes.cumsum())[np.append(0, lengths.cumsum())]
    return ends[1:] - ends[:-1]


def _of_one_width(parts: Sequence[NDArray[np.generic]], *, numbers: bool) -> list[NDArray[np.generic]]:
    """Matrices of ids or ``numbers`` filled up to the widest of them; anything else as it is."""
    if any(part.ndim < 2 or (part.dtype.kind == "f" and not numbers) for part in parts):
        return list(parts)
    widest = max((part.shape[1] for part in parts), default=0)
    filler: Any = np.nan if numbers else 0
    return [np.pad(part, ((0, 0), (0, widest - part.shape[1])), constant_values=filler) for part in parts]


def _numbers(chunk: pa.Array, where: str, row: int, lengths: NDArray[np.int64] | None) -> NDArray[np.generic]:
    kind = chunk.type
    _no_nulls(chunk, where, row, lengths)
    if pa.types.is_temporal(kind):
        chunk = chunk.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    elif pa.types.is_decimal(kind):
        chunk = chunk.cast(pa.float64())
    elif pa.types.is_uint16(kind):
        chunk = chunk.cast(pa.int32())
    elif pa.types.is_uint32(kind) or pa.types.is_uint64(kind):
        try:
            chunk = chunk.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise DataError(f"{where} has numbers above 2**63: encode it by a Vocabulary first") from error
    elif pa.types.is_null(kind):
        return np.zeros(0, np.int64)
    elif not is_number(kind):
        raise DataError(
            f"{where} holds values of type {kind}, expected numbers: encode them first, with "
            "sessions_from_events or a Vocabulary"
        )
    return _shared(chunk)


def _shared(chunk: pa.Array) -> NDArray[np.generic]:
    """The numbers of an array without nulls, not copied where possible.

    Arrow's own ``to_numpy`` imports pandas where it is installed, which takes longer than reading a file.
    """
    if hasattr(chunk, "__dlpack__") and not pa.types.is_boolean(chunk.type):
        return np.from_dlpack(chunk)
    numbers: NDArray[np.generic] = chunk.to_numpy(zero_copy_only=False)
    return numbers


def _no_nulls(chunk: pa.Array, where: str, row: int, lengths: NDArray[np.int64] | None) -> None:
    if not chunk.null_count:
        return
    first = int(np.argmax(chunk.is_null().to_numpy(zero_copy_only=False)))
    if lengths is not None:
        first = int(np.searchsorted(np.cumsum(lengths), first, side="right"))
    raise DataError(
        f"{where} has {chunk.null_count} missing values, the first in row {row + first}: "
        "fill them or leave these rows out (a missing list is taken as an empty one)"
    )


def _joined(parts: Sequence[NDArray[np.generic]], where: str) -> Tensor:
    """All parts in one new tensor, which owns its memory."""
    parts = [part for part in parts if len(part)] or parts[:1]
    widths = {part.shape[1:] for part in parts}
    if len(widths) > 1:
        sizes = sorted(width[0] for width in widths)
        raise DataError(f"{where} has vectors of {sizes[0]} and of {sizes[1]} values: give all one width")
    shape = (sum(map(len, parts)), *parts[0].shape[1:])
    joined = torch.from_numpy(np.empty(shape, np.result_type(*parts).newbyteorder("=")))
    at = 0
    for part in parts:
        joined.numpy()[at : at + len(part)] = part
        at += len(part)
    return joined
