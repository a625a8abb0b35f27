"""Shares of ranks and cutting an order into batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from merlin_models_torch.data.order import batches_of, generator_of, share

COUNTS = {"rows": st.integers(1, 60), "batch_size": st.integers(1, 9), "world": st.integers(1, 5)}


@settings(deadline=None, max_examples=300)
@given(**COUNTS)
def test_every_rank_has_as_many_batches_and_no_row_is_lost(rows: int, batch_size: int, world: int) -> None:
    shares = [share(rows, batch_size, rank=rank, world=world) for rank in range(world)]
    assert len({own.steps for own in shares}) == 1
    assert all(0 < size <= batch_size for own in shares for size in own.sizes)
    assert all(sum(own.sizes) == own.stop - own.start and own.stop <= rows for own in shares)
    assert [row for own in shares for row in range(own.start, own.stop)] == list(range(rows))
    fillers = sum(own.fillers for own in shares)
    assert fillers == 0 or batch_size == 1 or rows < world
    assert fillers < world


@settings(deadline=None, max_examples=200)
@given(**COUNTS)
def test_dropping_gives_full_batches_of_distinct_rows(rows: int, batch_size: int, world: int) -> None:
    shares = [share(rows, batch_size, rank=rank, world=world, drop_last=True) for rank in range(world)]
    given_out = [row for own in shares for row in range(own.start, own.stop)]
    assert len(given_out) == len(set(given_out)) == rows // world // batch_size * batch_size * world
    assert {size for own in shares for size in own.sizes} <= {batch_size}


def test_one_row_more_than_a_step_makes_two_batches_of_one() -> None:
    assert share(9, 4, rank=0, world=2).sizes == (2, 2)
    assert share(9, 4, rank=1, world=2).sizes == (4, 1)
    assert share(9, 4).sizes == (4, 4, 1)


def test_batches_keep_the_order_without_bucketing() -> None:
    batches = batches_of(torch.tensor([4, 2, 0, 1, 3]), (2, 2, 1))
    assert [batch.tolist() for batch in batches] == [[4, 2], [0, 1], [3]]


def test_bucketing_sorts_by_length_within_a_window() -> None:
    lengths = torch.tensor([5, 1, 4, 2, 3, 9, 8, 7])
    batches = batches_of(torch.arange(8), (2, 2, 2, 2), lengths=lengths, window=2)
    assert [batch.tolist() for batch in batches] == [[1, 3], [2, 0], [4, 7], [6, 5]]
    shuffled = batches_of(
        torch.arange(8), (2, 2, 2, 2), lengths=lengths, window=2, generator=generator_of(0, 0)
    )
    assert sorted(batch.tolist() for batch in shuffled) == sorted(batch.tolist() for batch in batches)


@pytest.mark.parametrize(("seed", "epoch", "same"), [(0, 0, True), (0, 1, False), (1, 0, False)])
def test_generators_depend_on_seed_and_epoch(seed: int, epoch: int, same: bool) -> None:
    first = torch.randperm(100, generator=generator_of(0, 0))
    assert torch.equal(first, torch.randperm(100, generator=generator_of(seed, epoch))) is same
