"""From raw features to ids, approximate indices, and filters that hold exactly whatever finds the items."""

import functools

import pyarrow as pa
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.data.coding import Coding
from merlin_models_torch.retrieval import FaissIndex, ItemIndex, TopKEncoder, recall_of, topk_blockwise
from tests.unit.retrieval.test_predict import ITEMS, USERS, factors, towers
from tests.unit.retrieval.test_to_parquet import clicks
from tests.unit.schemas import session_schema
from tests.unit.sessions import session_batch, session_model, session_table


@functools.cache
def faiss_is_here() -> bool:
    pytest.importorskip("faiss", reason="the extra 'faiss' is not installed here")
    return True


def vectors(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))


class TestBestOf:
    def test_it_is_the_plain_formula_over_some_items(self) -> None:
        items, bias = vectors(50, 0), vectors(50, 1)[:, 0]
        index = ItemIndex(items, bias=bias, temperature=0.5)
        rows = torch.tensor([[7, 3, -1, 7, 40], [-1, -1, -1, -1, 2], [-1] * 5])
        queries = vectors(3, 2)
        scores, found = index.best_of(queries, rows, k=3)
        plain = (queries @ items.T + bias) / 0.5
        assert found[0].tolist() == sorted([3, 7, 40], key=lambda item: -plain[0, item])
        assert found[1:].tolist() == [[2, -1, -1], [-1, -1, -1]]
        torch.testing.assert_close(scores[0], plain[0, found[0]])
        assert scores[2].tolist() == [-float("inf")] * 3
        wide, places = index.best_of(queries, rows[:, :1], k=4)
        assert places[0].tolist() == [7, -1, -1, -1]
        assert wide.shape == (3, 4)

    def test_equal_scores_come_in_order_of_row(self) -> None:
        index = ItemIndex(torch.ones(9, 2))
        assert index.best_of(torch.ones(1, 2), torch.tensor([[8, 2, 5]]), k=3)[1].tolist() == [[2, 5, 8]]

    def test_rows_outside_the_catalogue_are_refused(self) -> None:
        with pytest.raises(ValueError, match="holds row 9, but the catalogue has rows 0 to 8"):
            ItemIndex(torch.ones(9, 2)).best_of(torch.ones(1, 2), torch.tensor([[9]]), k=1)


class TestFaiss:
    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        faiss_is_here()

    def test_searching_all_groups_finds_what_is_exact(self) -> None:
        items, queries, bias = vectors(600, 0), vectors(20, 1), vectors(600, 2)[:, 0]
        index = FaissIndex(items, bias=bias, temperature=0.3, groups=9, searched=9)
        exclude = torch.randint(-1, 600, (20, 40), generator=torch.Generator().manual_seed(3))
        scores, rows = index.topk(queries, k=15, exclude=exclude, never=[0, 5])
        wanted = topk_blockwise(
            queries, items, k=15, bias=bias, temperature=0.3, exclude=exclude, never=[0, 5]
        )
        torch.testing.assert_close(scores, wanted[0])
        assert rows.tolist() == wanted[1].tolist()
        assert recall_of(index, ItemIndex(items, bias=bias), queries, k=15) == 1.0

    def test_recall_is_measured_and_rises_with_what_is_searched(self) -> None:
        items, queries = vectors(3000, 0), vectors(50, 1)
        exact = ItemIndex(items)
        found = [
            recall_of(FaissIndex(items, groups=60, searched=n), exact, queries, k=10) for n in (1, 8, 60)
        ]
        assert 0.05 < found[0] < found[1] < found[2] == 1.0
        by_hand = FaissIndex(items, groups=60, searched=8).topk(queries, k=10)[1].tolist()
        wanted = exact.topk(queries, k=10)[1].tolist()
        share = sum(len({*a} & {*b}) for a, b in zip(by_hand, wanted, strict=True)) / 500
        assert found[1] == pytest.approx(share)

    def test_filters_hold_where_little_is_searched(self) -> None:
        items, queries = vectors(400, 0), vectors(30, 1)
        index = FaissIndex(items, groups=100, searched=1)
        exclude = topk_blockwise(queries, items, k=20)[1]
        scores, rows = index.topk(queries, k=30, exclude=exclude, never=range(50))
        assert not (rows[:, :, None] == exclude[:, None, :]).any()
        assert bool((rows >= 50).all())
        torch.testing.assert_close(scores, (queries @ items.T).gather(1, rows))
        assert bool((scores.diff(dim=1) <= 0).all())

    def test_a_model_is_asked_through_it(self) -> None:
        model, index = session_model(), functools.partial(FaissIndex, groups=3, searched=3)
        options = {"k": 5, "exclude_seen": True, "candidates": list(range(1, 25))}
        found, wanted = (model.predict(session_table(), index=one, **options) for one in (index, None))  # type: ignore[arg-type]
        assert found["item_id"].equals(wanted["item_id"])
        torch.testing.assert_close(
            torch.tensor(found["score"].to_pylist()), torch.tensor(wanted["score"].to_pylist())
        )
        found = towers().predict(USERS, k=2, candidates=ITEMS, index=index)
        assert found["item_id"].equals(towers().predict(USERS, k=2, candidates=ITEMS)["item_id"])


class TestTopKEncoder:
    def test_sessions_get_what_predict_gives(self) -> None:
        model = session_model().eval()
        best = TopKEncoder(model, k=4, exclude_seen=True, candidates=range(1, 25))
        scores, items = best(session_batch())
        wanted = model.predict(session_table(), k=4, exclude_seen=True, candidates=list(range(1, 25)))
        assert items.tolist() == wanted["item_id"].to_pylist()
        torch.testing.assert_close(scores, torch.tensor(wanted["score"].to_pylist()))
        first = items[:, :1]
        assert best(session_batch(), first)[1][:, 0].tolist() == items[:, 1].tolist()

    def test_towers_get_what_predict_gives(self) -> None:
        found = TopKEncoder(towers(), k=3, candidates=ITEMS).answer(USERS)
        assert found.equals(towers().predict(USERS, k=3, candidates=ITEMS).select(["item_id", "score"]))

    def test_original_ids_go_in_and_come_out(self) -> None:
        model = factors(
            vocabularies={
                "user_id": mm.Vocabulary(pa.array([f"user {n}" for n in range(2, 13)])),
                "item_id": mm.Vocabulary(pa.array([f"film {n}" for n in range(2, 10)])),
            }
        )
        best = TopKEncoder(model, k=3)
        found = best.answer({"user_id": ["user 7", "nobody", None]})
        wanted = model.predict({"user_id": [7, 1, 0]}, k=3)
        assert found["item_id"].to_pylist() == wanted["item_id"].to_pylist()
        assert all(name.startswith("film ") for row in found["item_id"].to_pylist() for name in row)

    def test_other_models_are_refused(self) -> None:
        with pytest.raises(TypeError, match="BinaryOutput does not answer with items"):
            TopKEncoder(clicks(), k=2)


def test_lists_nulls_and_columns_without_a_vocabulary_are_coded() -> None:
    vocabulary = {"item_id": mm.Vocabulary(pa.array(["a", "b"]))}
    table = pa.table({"item_id": [["b", "x", None], None, [], ["a"]], "country": [1, 2, 3, 4]})
    coding = Coding.of(session_schema(), vocabulary)
    found = coding.table(table, where="the table")
    assert found["item_id"].to_pylist() == [[3, 1, 0], [], [], [2]]
    assert found["country"].to_pylist() == [1, 2, 3, 4]
    nested = pa.table({"item_id": [[["a"], ["b", "b"]], [["x"]]]})
    assert coding.table(nested, where="the table")["item_id"].to_pylist() == [[[2], [3, 3]], [[1]]]


class TestCandidatesOfEachRequest:
    """The only items that may be answers to one row, as plain scores rank them."""

    ROWS = torch.tensor([[7, 3, -1, 7, 25], [-1, -1, -1, -1, -1], [4, 5, 6, 9, 0]])

    def test_a_row_is_answered_from_its_own_and_one_without_from_all(self) -> None:
        items, bias, queries = vectors(50, 0), vectors(50, 1)[:, 0], vectors(3, 2)
        exclude = torch.tensor([[3, -1], [0, 1], [9, 9]])
        plain = (queries @ items.T + bias) / 0.5
        wanted = [
            sorted([7, 25], key=lambda item: -plain[0, item]),
            sorted(range(2, 50), key=lambda item: -plain[1, item])[:3],
            sorted([4, 5, 6], key=lambda item: -plain[2, item]),
        ]
        index = ItemIndex(items, bias=bias, temperature=0.5)
        scores, rows = index.topk(queries, k=3, exclude=exclude, never=[0], candidates=self.ROWS)
        assert rows.tolist() == [[*wanted[0], -1], wanted[1], wanted[2]]
        assert scores[0, 2] == -torch.inf
        torch.testing.assert_close(scores[1], plain[1, rows[1]])

    def test_a_model_of_items_answers_within_both_lists(self) -> None:
        model = session_model(exclude_seen=False)
        batch = session_batch(3)
        best = TopKEncoder(model, k=2, candidates=[3, 4, 5, 7, 25])
        scores, rows = best(batch, torch.tensor([[7], [-1], [4]]), self.ROWS)
        with torch.no_grad():
            plain = model.eval()(batch)
        assert rows[0].tolist() == sorted([3, 25], key=lambda item: -plain[0, item])
        assert rows[1].tolist() == sorted([3, 4, 5, 7, 25], key=lambda item: -plain[1, item])[:2]
        assert rows[2].tolist() == [5, -1]
        torch.testing.assert_close(scores[1], plain[1, rows[1]])
        nowhere = best(batch, None, torch.full((3, 1), 9))
        assert nowhere[1].tolist() == [[-1, -1]] * 3
        assert nowhere[0].tolist() == [[-float("inf")] * 2] * 3
