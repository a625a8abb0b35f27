"""Blockwise top-k against a stable sort of the whole score matrix."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from merlin_models_torch import _products
from merlin_models_torch.retrieval import topk, topk_blockwise, topk_of_scores


def plain(queries, items, k, *, bias=None, temperature=1.0, banned=()):
    """All scores, sorted; ``banned`` holds a set of rows for each query."""
    scores = queries @ items.T
    if bias is not None:
        scores = scores + bias
    scores = scores / temperature
    for query, rows in enumerate(banned):
        scores[query, list(rows)] = -torch.inf
    values, rows = scores.sort(dim=1, descending=True, stable=True)
    return values[:, :k], torch.where(values == -torch.inf, -1, rows)[:, :k]


def whole_numbers(shape, seed, upto=3, dtype=torch.float32):
    """Small integers as floats: sums are exact in any order, and many are equal."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-upto, upto + 1, shape, generator=generator).to(dtype)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    catalogue=st.integers(1, 400),
    k=st.integers(1, 12),
    block=st.integers(1, 450),
    narrowest=st.sampled_from([1, 3, 32]),
    many=st.sampled_from([2, 16]),
    double=st.booleans(),
)
def test_equal_scores_come_in_order_of_row(seed, catalogue, k, block, narrowest, many, double):
    """With groups of several widths, and without; by keys and by torch's own top-k."""
    k = min(k, catalogue)
    dtype = torch.float64 if double else torch.float32
    queries, items = (
        whole_numbers((3, 2), seed, dtype=dtype),
        whole_numbers((catalogue, 2), seed + 1, dtype=dtype),
    )
    expected = plain(queries, items, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topk, "_NARROWEST_GROUP", narrowest)
        patch.setattr(topk, "_MANY", many)
        found = topk_blockwise(queries, items, k=k, block=block)
        of_scores = topk_of_scores(queries @ items.T, k=k)
    for scores, rows in (found, of_scores):
        assert torch.equal(scores, expected[0])
        assert torch.equal(rows, expected[1])
        assert rows.dtype == torch.int64


@pytest.mark.parametrize("block", [100, 333, 5000, 65_536])
def test_all_scores_equal(block):
    scores, rows = topk_blockwise(torch.zeros(2, 3), torch.ones(5000, 3), k=7, block=block)
    assert torch.equal(rows, torch.arange(7).expand(2, 7))
    assert torch.equal(scores, torch.zeros(2, 7))


def test_minus_zero_ties_with_zero():
    items = torch.tensor([[-0.0], [0.0], [-1.0], [-0.0]])
    rows = topk_blockwise(torch.ones(1, 1), items, k=4)[1]
    assert rows.tolist() == [[0, 1, 3, 2]]


@pytest.mark.parametrize("block", [64, 1000, 65_536, None])
def test_real_scores_with_bias_and_temperature(block):
    generator = torch.Generator().manual_seed(0)
    queries, items = torch.randn(5, 16, generator=generator), torch.randn(3000, 16, generator=generator)
    bias = torch.randn(3000, generator=generator)
    expected = plain(queries, items, 20, bias=bias, temperature=0.4)
    scores, rows = topk_blockwise(queries, items, k=20, block=block, bias=bias, temperature=0.4)
    torch.testing.assert_close(scores, expected[0])
    assert torch.equal(rows, expected[1])


@pytest.mark.parametrize("block", [1_001, 2_000, None])
def test_rows_of_scores_may_lie_apart(block, monkeypatch):
    monkeypatch.setattr(_products, "is_narrow_amd", lambda: True)
    assert not _products.in_lines(torch.empty(0), 70, 1_001).is_contiguous()
    generator = torch.Generator().manual_seed(0)
    queries, items = torch.randn(70, 16, generator=generator), torch.randn(3_001, 16, generator=generator)
    items[1_000:1_500] = items[:500]  # equal scores, in one block and in two
    expected = plain(queries, items, 20)
    scores, rows = topk_blockwise(queries, items, k=20, block=block)
    torch.testing.assert_close(scores, expected[0])
    assert torch.equal(rows, expected[1])


@pytest.mark.parametrize("block", [7, 50, 65_536])
@pytest.mark.parametrize("as_list", [False, True])
def test_excluded_rows_are_no_answers(block, as_list):
    queries, items = whole_numbers((3, 4), 0), whole_numbers((150, 4), 1)
    lists = [[0, 3, 149], [], [7]]
    matrix = torch.tensor([[3, 149, 0], [-1, -1, -1], [-1, 7, -1]])
    expected = plain(queries, items, 9, banned=[{0, 3, 149, 1, 140}, {1, 140}, {7, 1, 140}])
    found = topk_blockwise(
        queries, items, k=9, block=block, exclude=lists if as_list else matrix, never=(1, 140, 1)
    )
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


def test_too_many_exclusions_leave_places_without_a_row():
    items = torch.tensor([[1.0], [2.0], [3.0]])
    scores, rows = topk_blockwise(torch.ones(1, 1), items, k=3, exclude=[[2]], block=1)
    assert rows.tolist() == [[1, 0, -1]]
    assert scores.tolist() == [[2.0, 1.0, -torch.inf]]


def test_autocast_does_not_round_the_scores():
    generator = torch.Generator().manual_seed(0)
    queries, items = torch.randn(2, 8, generator=generator), torch.randn(500, 8, generator=generator)
    expected = topk_blockwise(queries, items, k=10)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = topk_blockwise(queries, items, k=10)
        narrow = topk_blockwise(queries.bfloat16(), items, k=10)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert narrow[0].dtype == torch.float32


def test_scores_that_are_there_need_no_order_in_memory():
    scores = whole_numbers((500, 3), 0).T
    expected = scores.sort(dim=1, descending=True, stable=True)
    found = topk_of_scores(scores, k=3)
    assert torch.equal(found[0], expected.values[:, :3])
    assert torch.equal(found[1], expected.indices[:, :3])


def test_an_exported_program_answers_alike_for_any_scores():
    class Best(torch.nn.Module):
        def forward(self, scores):
            return topk_of_scores(scores, k=2)

    rows = torch.export.Dim("rows", min=2)
    # Wide enough for torch's own top-k, with which a plain call begins.
    wide = 2 * topk._MANY + 3
    program = torch.export.export(Best(), (torch.rand(3, wide),), dynamic_shapes={"scores": {0: rows}})
    for scores in (whole_numbers((5, wide), 0), torch.rand(7, wide), torch.zeros(2, wide)):
        for found, expected in zip(program.module()(scores), topk_of_scores(scores, k=2), strict=True):
            assert torch.equal(found, expected)


@pytest.mark.parametrize("k", [0, 4])
def test_k_above_the_given_scores_is_named(k):
    with pytest.raises(ValueError, match=f"k is {k}, but the catalogue has 3 items"):
        topk_of_scores(torch.zeros(2, 3), k=k)
    with pytest.raises(ValueError, match="give one row per query"):
        topk_of_scores(torch.zeros(3), k=1)


def test_no_queries():
    scores, rows = topk_blockwise(torch.zeros(0, 2), torch.ones(1000, 2), k=3, exclude=[])
    assert scores.shape == rows.shape == (0, 3)


def test_inputs_are_not_changed_and_need_no_gradient():
    queries, items = torch.ones(1, 2, requires_grad=True), torch.ones(20, 2, requires_grad=True)
    scores, _ = topk_blockwise(queries, items, k=2, never=(0,))
    assert not scores.requires_grad
    assert torch.equal(items, torch.ones(20, 2))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"k": 11}, "k is 11, but the catalogue has 10 items: ask for fewer answers"),
        ({"k": 9, "never": (0, 1)}, "the catalogue has 10 items less 2 that are never answered"),
        ({"k": 0}, "must be at least 1"),
        ({"never": (10,)}, "never holds row 10, but the catalogue has rows 0 to 9"),
        ({"exclude": torch.tensor([[10], [0]])}, "exclude holds row 10"),
        ({"exclude": torch.tensor([[-2], [0]])}, "exclude holds row -2"),
        ({"exclude": torch.tensor([[1]])}, "there are 2 queries"),
        ({"exclude": [[1]]}, "exclude has 1 entries, but there are 2 queries"),
        ({"exclude": [[1], [12]]}, "exclude holds row 12"),
        ({"items": torch.ones(10, 4)}, r"must be \(B, D\) and \(V, D\)"),
        ({"bias": torch.ones(3)}, "there are 10 items"),
        ({"temperature": -1.0}, "temperature is -1.0"),
    ],
)
def test_wrong_arguments_are_named(change, text):
    arguments = {"queries": torch.ones(2, 3), "items": torch.ones(10, 3), "k": 2, **change}
    with pytest.raises(ValueError, match=text):
        topk_blockwise(**arguments)
