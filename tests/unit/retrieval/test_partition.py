"""The best scores by partition against a stable sort of all."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from merlin_models_torch.retrieval import partition
from merlin_models_torch.retrieval.partition import best_by_partition


def plain(scores, k):
    ordered = scores.sort(dim=1, descending=True, stable=True)
    return ordered.values[:, :k], ordered.indices[:, :k]


def is_between_equals(scores, k):
    """Whether the last place of a row could go to one of several."""
    values = scores.sort(dim=1, descending=True).values
    return k < scores.shape[1] and bool((values[:, k - 1] == values[:, k]).any())


@settings(deadline=None, max_examples=120)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 4),
    size=st.integers(1, 500),
    k=st.integers(1, 12),
    levels=st.sampled_from([3, 1_000, 2**23]),
    grouped=st.sampled_from([2, 16]),
    narrowest=st.sampled_from([1, 3, 8]),
    double=st.booleans(),
)
def test_a_stable_sort_finds_the_same(seed, rows, size, k, levels, grouped, narrowest, double):
    """Scores with many and few equal ones, groups of several widths, and without groups."""
    k = min(k, size)
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(-levels, levels, (rows, size), generator=generator)
    scores = scores.to(torch.float64 if double else torch.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "_GROUPED", grouped)
        patch.setattr(partition, "_NARROWEST", narrowest)
        found = best_by_partition(scores, k)
    if found is None:
        assert is_between_equals(scores, k)
        return
    for one, expected in zip(found, plain(scores, k), strict=True):
        assert torch.equal(one, expected)


def test_rows_without_equal_scores_are_always_answered():
    scores = torch.stack([torch.randperm(3_001).float() for _ in range(5)])
    for k in (1, 20, 3_001):
        assert best_by_partition(scores, k) is not None


def test_equal_scores_among_the_best_come_in_order_of_column():
    scores = torch.tensor([[1.0, 5.0, 0.0, 5.0, 4.0, 5.0, -1.0]])
    _, columns = best_by_partition(scores, 4)
    assert columns.tolist() == [[1, 3, 5, 4]]


@pytest.mark.parametrize(
    "scores",
    [
        torch.tensor([[1.0, 2.0, 2.0, 2.0]]),
        torch.tensor([[1.0, torch.nan, 2.0, 0.0]]),
        torch.zeros(0, 4),
        torch.arange(4.0, dtype=torch.bfloat16)[None],
    ],
    ids=["the last place is open", "not a number", "no rows", "a dtype that NumPy has not"],
)
def test_what_it_is_not_for_is_left_to_others(scores):
    assert best_by_partition(scores, 2) is None


def test_scores_stay_as_they_are_and_need_no_order_in_memory():
    scores = torch.randperm(2_000).float().view(1_000, 2).T.requires_grad_()
    before = scores.detach().clone()
    values, columns = best_by_partition(scores, 5)
    assert torch.equal(scores.detach(), before)
    assert not values.requires_grad
    assert torch.equal(columns, plain(before, 5)[1])
