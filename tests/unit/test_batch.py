"""Ragged columns and batches."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from merlin_models_torch.batch import Batch, Ragged

ROWS = st.lists(st.lists(st.integers(1, 99), max_size=6), min_size=1, max_size=6)


def ragged(rows: list[list[int]]) -> Ragged:
    values = torch.tensor([value for row in rows for value in row], dtype=torch.int64)
    offsets = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
    return Ragged(values, offsets)


def rows_of(column: Ragged) -> list[list[int]]:
    bounds = column.offsets.tolist()
    return [column.values[a:b].tolist() for a, b in pairwise(bounds)]


@given(ROWS, st.integers(0, 3))
def test_padding_keeps_each_row_and_fills_the_rest(rows: list[list[int]], more: int) -> None:
    length = max(map(len, rows)) + more
    expected = [row + [-1] * (length - len(row)) for row in rows]
    assert ragged(rows).padded(length, value=-1).tolist() == expected


@given(ROWS, st.integers(1, 7))
def test_latest_keeps_the_end_of_each_row(rows: list[list[int]], count: int) -> None:
    assert rows_of(ragged(rows).latest(count)) == [row[-count:] for row in rows]


@given(ROWS)
def test_padding_and_back_is_the_same_column(rows: list[list[int]]) -> None:
    column = ragged(rows)
    assert rows_of(Ragged.from_padded(column.padded(), column.lengths)) == rows


def test_vectors_in_lists_are_padded_too() -> None:
    column = Ragged(torch.arange(6.0).view(3, 2), torch.tensor([0, 1, 3]))
    assert column.padded().tolist() == [[[0, 1], [0, 0]], [[2, 3], [4, 5]]]


def test_a_row_longer_than_asked_for_is_refused() -> None:
    with pytest.raises(
        ValueError, match="a row has 3 values and should be padded to 2: shorten the rows first"
    ):
        ragged([[1, 2, 3]]).padded(2)


def test_a_missing_column_is_named_with_those_there_are() -> None:
    batch = Batch({"price": torch.ones(2)})
    with pytest.raises(KeyError, match=r"no column 'item_id', only \['price'\]"):
        batch["item_id"]


def test_lengths_of_a_matrix_reach_to_its_last_item() -> None:
    batch = Batch({"item_id": torch.tensor([[4, 0, 5, 0], [0, 0, 0, 0]])})
    assert batch.lengths("item_id").tolist() == [3, 0]
    none = Batch({"item_id": torch.zeros(2, 0, dtype=torch.int64)})
    assert none.lengths("item_id").tolist() == [0, 0]


def test_new_batches_leave_the_old_one_alone() -> None:
    batch = Batch({"item_id": torch.ones(2), "price": torch.ones(2)})
    other = batch.with_features({"price": torch.zeros(2)}).select(["price"])
    assert other["price"].sum() == 0
    assert batch["price"].sum() == 2
    assert set(batch.features) == {"item_id", "price"}
