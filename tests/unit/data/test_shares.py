"""Any parquet files on any number of ranks: every row once, as many steps on each."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from merlin_models_torch.batch import Batch
from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.schema import ColumnSchema, Schema, Tags

SCHEMA = Schema(
    [
        ColumnSchema(
            "item_id",
            [Tags.ITEM_ID, Tags.CATEGORICAL, Tags.SEQUENCE],
            {"domain": {"min": 0, "max": 99}},
            "int64",
            is_list=True,
        ),
        ColumnSchema("number", [Tags.CONTINUOUS], dtype="int64"),
    ]
)


def table(rows: int, first: int, *, empty: int | None) -> pa.Table:
    """Sessions that say their number; each ``empty``-th holds no item."""
    numbers = range(first, first + rows)
    items = [[] if empty and n % empty == 0 else [1 + n % 9] * (1 + n % 4) for n in numbers]
    return pa.table(
        {"item_id": pa.array(items, pa.list_(pa.int64())), "number": pa.array(numbers, pa.int64())}
    )


def steps_of(paths: list[str], world: int, batch_size: int, epoch: int, **options: Any) -> list[list[Batch]]:
    """The batches of each rank."""
    given_out = []
    for rank in range(world):
        loader = ParquetLoader(paths, SCHEMA, batch_size=batch_size, rank=rank, world=world, **options)
        loader.set_epoch(epoch)
        batches = list(loader)
        assert len(batches) == len(loader)
        given_out.append(batches)
    return given_out


def numbers(batches: list[Batch]) -> list[int]:
    """The rows that count, by what their column says."""
    return [int(n) for batch in batches if not batch.filler for n in batch["number"]]  # type: ignore[union-attr]


@settings(deadline=None, max_examples=60)
@given(
    files=st.lists(st.integers(1, 13), min_size=1, max_size=4),
    group=st.integers(1, 6),
    world=st.integers(1, 6),
    batch_size=st.integers(1, 5),
    memory_limit=st.sampled_from([0, 60, 200, 2**30]),
    shuffle=st.booleans(),
    bucket=st.sampled_from([None, 2]),
    empty=st.sampled_from([None, 2, 3]),
    epoch=st.integers(0, 2),
)
def test_every_row_comes_once_in_as_many_steps_on_every_rank(
    files: list[int],
    group: int,
    world: int,
    batch_size: int,
    memory_limit: int,
    shuffle: bool,
    bucket: int | None,
    empty: int | None,
    epoch: int,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths, first = [], 1
        for number, rows in enumerate(files):
            paths.append(str(Path(folder) / f"{number}.parquet"))
            pq.write_table(table(rows, first, empty=empty), paths[-1], row_group_size=group)
            first += rows
        kept = [n for n in range(1, first) if not (empty and n % empty == 0)]
        if not kept:
            return
        ranks = steps_of(
            paths,
            world,
            batch_size,
            epoch,
            shuffle=shuffle,
            bucket=bucket,
            empty="drop",
            memory_limit=memory_limit,
        )
    assert len({len(batches) for batches in ranks}) == 1
    assert sorted(n for batches in ranks for n in numbers(batches)) == kept
    assert all(1 <= len(batch) <= batch_size for batches in ranks for batch in batches)


@pytest.mark.parametrize("memory_limit", [0, 2**30])
def test_a_rank_without_a_row_for_the_last_step_gets_a_filler(memory_limit: int, tmp_path: Path) -> None:
    pq.write_table(table(3, 1, empty=None), tmp_path / "some.parquet", row_group_size=1)
    ranks = steps_of([str(tmp_path / "some.parquet")], 2, 1, 0, memory_limit=memory_limit)
    assert [numbers(batches) for batches in ranks] == [[1], [2, 3]]
    last = ranks[0][1]
    assert last.filler
    assert last.rows is not None
    assert last.rows.tolist() == [-1]
    assert torch.equal(last.padded("item_id"), ranks[0][0].padded("item_id"))


def test_fewer_rows_than_ranks_leave_some_with_fillers_alone(tmp_path: Path) -> None:
    pq.write_table(table(2, 1, empty=None), tmp_path / "some.parquet")
    ranks = steps_of([str(tmp_path / "some.parquet")], 4, 8, 0, shuffle=True)
    assert sorted(tuple(numbers(batches)) for batches in ranks) == [(), (), (1,), (2,)]
    assert [len(batches) for batches in ranks] == [1, 1, 1, 1]


def test_an_epoch_resumed_before_a_filler_gives_only_that(tmp_path: Path) -> None:
    pq.write_table(table(3, 1, empty=None), tmp_path / "some.parquet")
    loader = ParquetLoader(tmp_path / "some.parquet", SCHEMA, batch_size=1, rank=0, world=2)
    steps = iter(loader)
    next(steps)
    state = loader.state_dict()
    again = ParquetLoader(tmp_path / "some.parquet", SCHEMA, batch_size=1, rank=0, world=2)
    again.load_state_dict(state)
    left = list(again)
    assert [batch.filler for batch in left] == [True]
