"""Arrow columns as tensors: every type against what Python lists say."""

from __future__ import annotations

import datetime
import decimal

import pyarrow as pa
import pytest
import torch

from merlin_models_torch.batch import Ragged
from merlin_models_torch.data import DataError
from merlin_models_torch.data.arrow import to_column

SCALARS = [
    *(pa.array([3, 0, 127], kind) for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64())),
    *(pa.array([3, 0, 255], kind) for kind in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())),
    *(pa.array([1.5, -2.0, 0.25], kind) for kind in (pa.float32(), pa.float64())),
    pa.array([True, False, True]),
    pa.array([1, 2, 2]).dictionary_encode(),
]
NESTED = [[1, 2], [], [3], [4, 5, 6]]
LISTS = [
    pa.array(NESTED, pa.list_(pa.int64())),
    pa.array(NESTED, pa.large_list(pa.int32())),
    pa.array([[9], *NESTED, [8, 7]], pa.list_(pa.float32()))[1:5],
    pa.chunked_array([NESTED[:1], [], NESTED[1:]], pa.list_(pa.int64())),
    pa.ListArray.from_arrays(pa.array([0, 2, 2, 3, 6]), pa.array([1, 2, 3, 4, 5, 6]).dictionary_encode()),
    pa.array([[1, 2], [3, 4]], pa.list_(pa.int16(), 2)),
    pa.array([[9, 9], [1, 2], [3, 4]], pa.list_(pa.int16(), 2))[1:],
    pa.array([[[1, 2], [3, 4]], [], [[5, 6]]], pa.list_(pa.list_(pa.float32(), 2))),
    pa.array([[[1, 2], [3, 4]], [], [[5, 6]]], pa.list_(pa.list_(pa.float32()))),
]


def chunked(array: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


@pytest.mark.parametrize("array", SCALARS, ids=lambda a: str(a.type))
def test_scalars(array: pa.Array) -> None:
    column = to_column(chunked(array), "scalar", where="x")
    assert isinstance(column, torch.Tensor)
    assert column.tolist() == array.to_pylist()
    assert to_column(chunked(array[1:]), "scalar", where="x").tolist() == array.to_pylist()[1:]


@pytest.mark.parametrize("array", LISTS, ids=lambda a: str(a.type))
def test_lists(array: pa.Array | pa.ChunkedArray) -> None:
    column = to_column(chunked(array), "list", where="x")
    assert isinstance(column, Ragged)
    rows = [column.values[a:b].tolist() for a, b in zip(column.offsets, column.offsets[1:], strict=False)]
    assert rows == array.to_pylist()


def test_list_views_are_lists() -> None:
    view = pa.ListViewArray.from_arrays(pa.array([3, 0]), pa.array([2, 3]), pa.array([1, 2, 3, 4, 5]))
    column = to_column(chunked(view), "list", where="x")
    assert isinstance(column, Ragged)
    assert column.values.tolist() == [4, 5, 1, 2, 3]
    assert column.offsets.tolist() == [0, 2, 5]


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.large_list(pa.int64()), pa.list_(pa.int64(), 2)])
def test_a_missing_list_is_empty_whatever_lies_under_it(kind: pa.DataType) -> None:
    # The slot of the missing row holds values in the buffer; they do not belong to any row.
    full = pa.array([[1, 2], [3, 4], [5, 6]], kind)
    mask = pa.array([False, True, False])
    if pa.types.is_fixed_size_list(kind):
        array = pa.FixedSizeListArray.from_arrays(full.values, 2, mask=mask)
    else:
        array = type(full).from_arrays(full.offsets, full.values, mask=mask)
    column = to_column(chunked(array), "list", where="x")
    assert isinstance(column, Ragged)
    assert column.values.tolist() == [1, 2, 5, 6]
    assert column.offsets.tolist() == [0, 2, 2, 4]


def test_vectors_become_one_matrix() -> None:
    fixed = pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2))
    for array in (fixed, fixed.cast(pa.list_(pa.float32()))):
        column = to_column(pa.chunked_array([array, array[1:]]), "vector", where="x")
        assert isinstance(column, torch.Tensor)
        assert column.tolist() == [[1, 2], [3, 4], [3, 4]]


def test_times_and_decimals_become_numbers() -> None:
    day = datetime.date(1970, 1, 3)
    assert to_column(pa.chunked_array([[day]]), "scalar", where="x").tolist() == [2]
    times = pa.chunked_array([pa.array([5, 6], pa.timestamp("ms", "UTC"))])
    assert to_column(times, "scalar", where="x").tolist() == [5, 6]
    assert to_column(pa.chunked_array([[decimal.Decimal("1.5")]]), "scalar", where="x").tolist() == [1.5]


def test_the_tensor_owns_its_memory() -> None:
    array = pa.array([1, 2, 3])
    column = to_column(chunked(array), "scalar", where="x")
    assert isinstance(column, torch.Tensor)
    column[0] = 9
    assert array.to_pylist() == [1, 2, 3]


def test_unusable_values_name_the_column_and_row() -> None:
    with pytest.raises(DataError, match=r"column 'a' has 2 missing values, the first in row 11"):
        to_column(pa.chunked_array([[1, None, None]]), "scalar", where="column 'a'", first_row=10)
    with pytest.raises(DataError, match=r"column 'a' has 1 missing values, the first in row 2"):
        to_column(pa.chunked_array([[[1], [2]], [[3, None]]]), "list", where="column 'a'")
    with pytest.raises(DataError, match=r"column 'a' holds values of type string, expected numbers"):
        to_column(pa.chunked_array([["x"]]), "scalar", where="column 'a'")
    with pytest.raises(DataError, match=r"column 'a' has numbers above 2\*\*63"):
        to_column(pa.chunked_array([pa.array([2**63], pa.uint64())]), "scalar", where="column 'a'")
    with pytest.raises(DataError, match=r"column 'a' has vectors of 1 and of 2 values"):
        to_column(pa.chunked_array([[[1.0], [1.0, 2.0]]]), "vector", where="column 'a'")
    with pytest.raises(DataError, match=r"column 'a' has vectors of 1 and of 2 values"):
        to_column(pa.chunked_array([[[1.0]], [[1.0, 2.0]]]), "vector", where="column 'a'")


def test_inner_lists_of_ids_are_filled_up_and_vectors_are_not() -> None:
    rows = [[[1, 2], [], [3]], None, [[4, 5, 6]]]
    column = to_column(pa.chunked_array([rows[:2], rows[2:]]), "list", where="column 'a'")
    assert isinstance(column, Ragged)
    assert column.values.tolist() == [[1, 2, 0], [0, 0, 0], [3, 0, 0], [4, 5, 6]]
    assert column.offsets.tolist() == [0, 3, 3, 4]
    with pytest.raises(DataError, match=r"column 'a' has vectors of 1 and of 2 values"):
        to_column(pa.chunked_array([[[[1.0], [1.0, 2.0]]]]), "list", where="column 'a'")
    with pytest.raises(DataError, match="column 'a' has 1 missing values, the first in row 1"):
        to_column(pa.chunked_array([[[[1]], [[1, 2], [None]]]]), "list", where="column 'a'")
    with pytest.raises(DataError, match="column 'a' has lists inside lists inside lists"):
        to_column(pa.chunked_array([[[[[1]]]]]), "list", where="column 'a'")


@pytest.mark.parametrize("kind", [pa.int64(), pa.float32(), pa.float64()])
def test_inner_lists_of_numbers_are_filled_up_with_nan(kind: pa.DataType) -> None:
    rows = [[[1, 0], [], [3]], None, [[4, 5, 6]]]
    array = pa.chunked_array([rows[:2], rows[2:]], pa.list_(pa.list_(kind)))
    column = to_column(array, "list", where="column 'a'", numbers=True)
    assert isinstance(column, Ragged)
    assert column.values.is_floating_point()
    found = [[value for value in inner if value == value] for inner in column.values.tolist()]
    assert found == [[1, 0], [], [3], [4, 5, 6]]
    assert column.values.isnan().tolist() == [
        [False, False, True],
        [True] * 3,
        [False, True, True],
        [False] * 3,
    ]
    assert column.offsets.tolist() == [0, 3, 3, 4]


def test_a_number_of_an_inner_list_that_is_none_is_refused() -> None:
    array = pa.chunked_array([[[[1.0], [2.0, 3.0]], [[4.0], [float("nan")]]]])
    with pytest.raises(DataError, match=r"column 'a' has 1 values that are not finite numbers, .* row 7"):
        to_column(array, "list", where="column 'a'", first_row=6, numbers=True)
