"""The index gives what the plain formula gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import merlin_models_torch.retrieval.bytes as bytes_module
import merlin_models_torch.retrieval.halves as halves_module
import merlin_models_torch.retrieval.index as index_module
from merlin_models_torch.retrieval import ItemIndex, topk_blockwise
from merlin_models_torch.retrieval.bytes import ByteGroups


@pytest.fixture(autouse=True, params=[True, False], ids=["bytes", "bfloat16"])
def _small_catalogues_are_screened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether few queries are screened in bytes, whatever the processor."""
    monkeypatch.setattr(index_module, "_WORTHWHILE", 64)
    monkeypatch.setattr(index_module, "_WORTH_BYTES", 64)
    monkeypatch.setattr(index_module, "_FIRST", 0)
    monkeypatch.setattr(bytes_module, "_multiplies_bytes", lambda: request.param)
    monkeypatch.setattr(halves_module, "multiplies", lambda *_: True)
    return bool(request.param)


def vectors(rows: int, width: int, seed: int, *, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)) * scale


def same(index: tuple[torch.Tensor, torch.Tensor], plain: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Equal scores, and equal rows but where two scores are as good as equal."""
    torch.testing.assert_close(index[0], plain[0], rtol=1e-5, atol=1e-5)
    apart = plain[0].diff(dim=1).abs().nan_to_num(posinf=1.0)
    nothing = torch.ones(len(apart), 1)
    clear = torch.cat([nothing, apart], 1).gt(1e-4) & torch.cat([apart, nothing * 0], 1).gt(1e-4)
    assert torch.equal(index[1][clear], plain[1][clear])


@given(
    st.integers(3_000, 9_000),
    st.integers(1, 20),
    st.integers(1, 12),
    st.sampled_from([1e-3, 1.0, 300.0]),
    st.booleans(),
    st.integers(0, 2**31),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answers_are_those_of_the_plain_formula(
    items: int, queries: int, k: int, scale: float, biased: bool, seed: int
) -> None:
    table = vectors(items, 16, seed, scale=scale)
    bias = vectors(items, 1, seed + 1)[:, 0] if biased else None
    asked = vectors(queries, 16, seed + 2)
    given_ = {"bias": bias, "temperature": 0.5}
    same(ItemIndex(table, **given_).topk(asked, k=k), topk_blockwise(asked, table, k=k, **given_))


def test_one_query_is_answered_by_columns_where_nothing_narrow_is_multiplied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bytes_module, "_multiplies_bytes", lambda: False)
    monkeypatch.setattr(halves_module, "multiplies", lambda *_: False)
    monkeypatch.setattr(index_module, "_FIRST", 2)
    table, asked = vectors(4_000, 16, 0), vectors(3, 16, 1)
    given_ = {"bias": vectors(4_000, 1, 2)[:, 0], "temperature": 0.5}
    index = ItemIndex(table, **given_)
    for query, copied in zip(asked.split(1), (False, False, True), strict=True):
        same(index.topk(query, k=5, never=[7]), topk_blockwise(query, table, k=5, never=[7], **given_))
        assert ("_by_columns" in vars(index)) is copied
    same(index.topk(asked, k=5), topk_blockwise(asked, table, k=5, **given_))


def rows_decided(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows of each query were scored again, one number a call."""
    numbers: list[int] = []
    decide = ItemIndex._decide

    def noted(self: ItemIndex, queries: torch.Tensor, candidates: torch.Tensor, *rest: Any) -> Any:
        numbers.append(candidates.shape[1])
        return decide(self, queries, candidates, *rest)

    monkeypatch.setattr(ItemIndex, "_decide", noted)
    return numbers


@pytest.mark.parametrize("queries", [2, 20])
def test_few_items_are_scored_again(monkeypatch: pytest.MonkeyPatch, queries: int) -> None:
    numbers = rows_decided(monkeypatch)
    ItemIndex(vectors(64_000, 8, 3)).topk(vectors(queries, 8, 4), k=5)
    assert len(numbers) == 1
    assert numbers[0] < 6_400


@pytest.mark.parametrize("scale", [1e-35, 1e-3, 1.0, 300.0])
def test_the_best_of_each_group_lies_between_its_bounds(scale: float) -> None:
    table = vectors(4_000, 24, 5, scale=scale) * torch.logspace(-3, 3, 4_000)[:, None]
    table[64:128] = 0
    asked = torch.cat([vectors(2, 24, 6), torch.zeros(1, 24)])
    upper, lower = ByteGroups(table, width=16).bounds(asked)
    best = (asked.double() @ table.double().T).unflatten(1, (-1, 16)).amax(2)
    assert upper.shape == best.shape
    assert (upper >= best).all()
    assert (lower <= best).all()
    # And they are close, beside the largest score that the norms allow.
    norms = asked.norm(dim=1)[:, None] * table.norm(dim=1).unflatten(0, (-1, 16)).amax(1)
    assert (upper - lower <= 0.06 * norms + 1e-9).all()


def test_numbers_that_are_not_finite_go_by_the_plain_formula() -> None:
    table, asked = vectors(6_400, 8, 1), vectors(1, 8, 2)
    asked[0, 0] = torch.inf
    assert torch.equal(ItemIndex(table).topk(asked, k=3)[1], topk_blockwise(asked, table, k=3)[1])
    table[7, 0] = torch.inf
    assert ByteGroups.fit(table) is False


@pytest.mark.parametrize(("first", "by_the_index"), [(400, True), (400_000, False)])
def test_nothing_is_lost_where_rounding_hides_the_order(
    monkeypatch: pytest.MonkeyPatch, first: int, by_the_index: bool
) -> None:
    # Neighbours in order differ by less than bfloat16 can tell, 0.4 %; in the second case hundreds do.
    numbers = rows_decided(monkeypatch)
    order = torch.randperm(64_000, generator=torch.Generator().manual_seed(0))
    table = torch.stack([1 / (first + order.float()), torch.zeros(64_000)], 1)
    asked = torch.tensor([[1.0, 0.0]])
    scores, rows = ItemIndex(table).topk(asked, k=20)
    assert bool(numbers) == by_the_index
    assert torch.equal(rows, topk_blockwise(asked, table, k=20)[1])
    assert torch.equal(scores[0], table[rows[0], 0])


def test_rounded_vectors_are_made_when_small_questions_have_come_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_module, "_FIRST", 3)
    numbers = rows_decided(monkeypatch)
    index, asked = ItemIndex(vectors(64_000, 8, 3)), vectors(2, 8, 4)
    answers = [index.topk(asked, k=5) for _ in range(3)]
    assert len(numbers) == 1
    for answer in answers:
        same(answer, answers[0])
    index.topk(vectors(20, 8, 5), k=5)
    assert len(numbers) == 2


def test_equal_scores_come_in_order_of_row() -> None:
    table = torch.zeros(6_400, 2)
    table[torch.arange(0, 6_400, 640), 0] = 2.0
    scores, rows = ItemIndex(table).topk(torch.tensor([[1.0, 0.0]]), k=4)
    assert rows.tolist() == [[0, 640, 1280, 1920]]
    assert scores.tolist() == [[2.0, 2.0, 2.0, 2.0]]


def test_rows_left_out_are_never_answers() -> None:
    table, asked = vectors(6_001, 8, 1), vectors(5, 8, 2)
    best = topk_blockwise(asked, table, k=12)[1]
    exclude = torch.cat([best[:, :3], torch.full((5, 1), -1)], 1)
    never = best[:, 3].tolist()
    found = ItemIndex(table).topk(asked, k=6, exclude=exclude, never=never)
    same(found, topk_blockwise(asked, table, k=6, exclude=exclude, never=never))
    for query in range(5):
        assert not set(found[1][query].tolist()) & {*exclude[query].tolist(), *never}
    lists = [row[:2].tolist() for row in best]
    assert torch.equal(
        ItemIndex(table).topk(asked, k=3, exclude=lists)[1],
        topk_blockwise(asked, table, k=3, exclude=lists)[1],
    )


def test_the_last_rows_beyond_whole_groups_are_answers_too() -> None:
    table = torch.zeros(6_400 + 7, 4)
    table[6_405] = 9.0
    assert ItemIndex(table).topk(torch.ones(1, 4), k=1)[1].tolist() == [[6_405]]


def test_small_catalogues_and_other_types_go_by_the_plain_formula() -> None:
    for table in (vectors(20, 4, 0), vectors(5_000, 4, 0).double()):
        asked = vectors(3, 4, 1).to(table.dtype)
        found, plain = ItemIndex(table).topk(asked, k=7), topk_blockwise(asked, table, k=7)
        assert torch.equal(found[0], plain[0])
        assert torch.equal(found[1], plain[1])


def test_autocast_does_not_round_the_answers() -> None:
    table, asked = vectors(6_400, 8, 1), vectors(3, 8, 2)
    plain = ItemIndex(table).topk(asked, k=5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = ItemIndex(table).topk(asked, k=5)
    assert torch.equal(rounded[0], plain[0])
    assert torch.equal(rounded[1], plain[1])


def test_no_queries_give_no_answers() -> None:
    scores, rows = ItemIndex(vectors(50, 4, 0)).topk(torch.zeros(0, 4), k=3)
    assert scores.shape == rows.shape == (0, 3)


def test_errors_are_those_of_the_plain_formula() -> None:
    index = ItemIndex(vectors(50, 4, 0))
    with pytest.raises(ValueError, match="k is 49, but the catalogue has 50 items less 2"):
        index.topk(vectors(1, 4, 1), k=49, never=[0, 1])
    with pytest.raises(ValueError, match=r"must be \(B, D\) and \(V, D\)"):
        index.topk(vectors(1, 5, 1), k=2)
    with pytest.raises(ValueError, match="exclude holds row 70"):
        index.topk(vectors(1, 4, 1), k=2, exclude=torch.tensor([[70]]))
    with pytest.raises(ValueError, match="temperature is 0"):
        ItemIndex(vectors(50, 4, 0), temperature=0)


def test_nothing_is_rounded_where_the_processor_multiplies_floats_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bytes_module, "_multiplies_bytes", lambda: False)
    monkeypatch.setattr(halves_module, "multiplies", lambda *_: False)
    table = vectors(5_000, 16, 0)
    index = ItemIndex(table)
    for queries in (1, 20):
        asked = vectors(queries, 16, queries)
        same(index.topk(asked, k=5), topk_blockwise(asked, table, k=5))
    assert "_halves" not in vars(index)
