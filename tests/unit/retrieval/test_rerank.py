"""Given candidates in the order of a model's own scores, computed row by row by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

import merlin_models_torch as mm
from tests.unit.clicks import click_schema, click_table
from tests.unit.schemas import ITEMS, categorical, continuous, session_schema
from tests.unit.sessions import session_model, session_table

USERS = pa.table({"user_id": [3, 1, 12, 7, 5], "age": pa.array([0.1, 0.5, 0.2, 0.9, 0.4], pa.float32())})
# Two rows of item 4: the first counts. Row 0 is padding.
FILMS = pa.table(
    {
        "item_id": [4, 9, 0, 2, 4, 7, 1],
        "genres": [[1, 2], [3], [1], [2], [3, 3], [1, 3], []],
        "year": pa.array([0.1, 0.9, 0.0, 0.3, 0.8, 0.5, 0.2], pa.float32()),
    }
)
LISTS = [[9, 4, 2], [7], [], [1, 2, 4, 7, 9], [2, 2, 9]]


def film_schema() -> mm.Schema:
    films = [categorical("genres", 3, mm.Tags.ITEM), continuous("year", mm.Tags.ITEM, lists=False)]
    return click_schema().excluding(["weight"]) + mm.Schema(films)


RANKERS: dict[str, Callable[[mm.Schema], mm.Model]] = {
    "DLRM": lambda schema: mm.DLRMModel(schema, embedding_dim=4, output=mm.BinaryOutput("click")),
    "DCN": lambda schema: mm.DCNModel(schema, embedding_dim=4, output=mm.BinaryOutput("click")),
    "DeepFM": lambda schema: mm.DeepFMModel(schema.excluding(["click"]), embedding_dim=4),
    "wide and deep": lambda schema: mm.WideAndDeepModel(schema.excluding(["rating"]), embedding_dim=4),
}


def by_hand(score: Callable[[dict[str, Any]], float], lists: list[list[int]], users: pa.Table) -> list[Any]:
    """(item, score) of each distinct candidate, the best first."""
    found = []
    for user, items in zip(users.to_pylist(), lists, strict=True):
        pairs = [(item, score({**user, "item_id": item})) for item in sorted({*items})]
        found.append(sorted(pairs, key=lambda pair: -pair[1]))
    return found


def joined(model: mm.Model, column: str) -> Callable[[dict[str, Any]], float]:
    """The model's own answer to a row of a user and a film, both written out."""
    films = {film["item_id"]: film for film in reversed(FILMS.to_pylist())}

    def score(row: dict[str, Any]) -> float:
        table = pa.Table.from_pylist([{**row, **films[row["item_id"]]}])
        return float(model.predict(table)[column][0].as_py())

    return score


def assert_same(found: pa.Table, wanted: list[Any]) -> None:
    assert found["item_id"].to_pylist() == [[item for item, _ in row] for row in wanted]
    for scores, row in zip(found["score"].to_pylist(), wanted, strict=True):
        np.testing.assert_allclose(scores, [score for _, score in row], rtol=1e-5, atol=1e-6)


class TestRankingModels:
    @pytest.mark.parametrize("name", RANKERS)
    def test_a_candidate_has_the_score_of_the_joined_row(self, name: str) -> None:
        torch.manual_seed(0)
        model = RANKERS[name](film_schema()).eval()
        wanted = by_hand(joined(model, f"{model.output.target}_score"), LISTS, USERS)
        found = model.rerank(USERS, LISTS, items=FILMS, batch_size=2)
        assert found.column_names == ["user_id", "item_id", "score"]
        assert found["user_id"].to_pylist() == USERS["user_id"].to_pylist()
        assert_same(found, wanted)
        best = model.rerank(USERS, LISTS, items=FILMS, k=2)
        assert_same(best, [row[:2] for row in wanted])

    def test_targets_are_weighed(self) -> None:
        torch.manual_seed(0)
        model = mm.MultiTaskModel(film_schema(), embedding_dim=4, experts="mmoe").eval()
        click, rating = joined(model, "click_score"), joined(model, "rating_score")
        found = model.rerank(USERS, LISTS, items=FILMS, score="rating")
        assert_same(found, by_hand(rating, LISTS, USERS))
        both = model.rerank(USERS, LISTS, items=FILMS, score={"click": 2.0, "rating": -0.5})
        assert_same(both, by_hand(lambda row: 2 * click(row) - 0.5 * rating(row), LISTS, USERS))
        with pytest.raises(ValueError, match=r"has scores of \['click', 'rating'\]: name the one to rank by"):
            model.rerank(USERS, LISTS, items=FILMS)
        with pytest.raises(ValueError, match=r"score is 'stars', and items can be ranked by the prob"):
            model.rerank(USERS, LISTS, items=FILMS, score="stars")

    def test_ids_alone_need_no_table_and_columns_of_items_do(self) -> None:
        torch.manual_seed(0)
        schema = click_schema().excluding(["weight"])
        model = mm.DCNModel(schema, embedding_dim=4, output=mm.BinaryOutput("click")).eval()
        score = by_hand(
            lambda row: model.predict(pa.Table.from_pylist([row]))["click_score"][0].as_py(), LISTS, USERS
        )
        assert_same(model.rerank(USERS, LISTS), score)
        films = RANKERS["DCN"](film_schema())
        with pytest.raises(
            ValueError, match=r"reads \['genres', 'year'\] of an item, and items is not given"
        ):
            films.rerank(USERS, LISTS)
        with pytest.raises(
            ValueError, match=r"reads \['year'\] of an item, and items has \['item_id', 'genre"
        ):
            films.rerank(USERS, LISTS, items=FILMS.drop_columns(["year"]))

    def test_the_history_of_a_row_is_the_rows(self) -> None:
        """A list of items that the user has met is no column of the candidate, though tagged as items."""
        torch.manual_seed(0)
        met = categorical("met", 9, mm.Tags.ITEM, mm.Tags.SEQUENCE, domain="item_id")
        schema = click_schema().excluding(["weight", "rating"]) + mm.Schema([met])
        inputs = mm.TabularInputBlock(schema.excluding(["click"]), embedding_dim=4, combiner={"met": "mean"})
        model = mm.Model(inputs, mm.MLPBlock([4]), mm.BinaryOutput("click")).eval()
        users = USERS.append_column("met", pa.array([[1], [2, 3], [4, 5, 6], [9], [1, 2]]))
        score = by_hand(
            lambda row: model.predict(pa.Table.from_pylist([row]))["click_score"][0].as_py(), LISTS, users
        )
        assert_same(model.rerank(users, LISTS), score)

    def test_what_ranks_no_items_is_refused(self) -> None:
        output = mm.ClassificationOutput("rating", classes=3)
        classes = mm.Model(
            mm.TabularInputBlock(click_schema().excluding(["rating"])), mm.MLPBlock([4]), output
        )
        with pytest.raises(ValueError, match=r"can be ranked by the probabilities or numbers of \[\]"):
            classes.rerank(USERS, LISTS)
        inputs = mm.TabularInputBlock(click_schema().select_by_name(["user_id", "age"]), embedding_dim=4)
        without = mm.Model(inputs, mm.MLPBlock([4]), mm.BinaryOutput("click"))
        with pytest.raises(ValueError, match=r"reads no column tagged Tags\.ITEM_ID with one item a row"):
            without.rerank(USERS, LISTS)

    def test_long_lists_are_scored_piece_by_piece(self, monkeypatch: pytest.MonkeyPatch) -> None:
        torch.manual_seed(0)
        model = RANKERS["DCN"](film_schema()).eval()
        wanted = model.rerank(USERS, LISTS, items=FILMS)
        largest = 0
        scores = mm.Model.scores

        def counted(self: mm.Model, batch: mm.Batch, **options: Any) -> Any:
            nonlocal largest
            largest = max(largest, len(batch))
            return scores(self, batch, **options)

        monkeypatch.setattr(mm.Model, "scores", counted)
        monkeypatch.setattr("merlin_models_torch.retrieval.reranking._PAIRS", 3)
        found = model.rerank(USERS, LISTS, items=FILMS)
        assert largest == 3
        assert found["item_id"].equals(wanted["item_id"])


def session_lists(rows: int) -> list[list[int]]:
    rng = np.random.default_rng(3)
    return [rng.permutation(np.arange(1, ITEMS + 1))[: rng.integers(0, 9)].tolist() for _ in range(rows)]


class TestModelsOfItems:
    @pytest.mark.parametrize("options", [{}, {"bias": True, "temperature": 0.5}, {"normalized": True}])
    def test_candidates_of_sessions_have_the_scores_of_predict(self, options: dict[str, Any]) -> None:
        torch.manual_seed(0)
        model = session_model(**options).eval()
        if options.get("bias"):
            nn.init.normal_(model.output.bias)
        table, lists = session_table(12), session_lists(12)
        everything = model.predict(table, k=ITEMS, keys=["user_id"])
        scores = [dict(zip(r["item_id"], r["score"], strict=True)) for r in everything.to_pylist()]
        wanted = [
            sorted(((i, known[i]) for i in sorted(items)), key=lambda pair: -pair[1])
            for known, items in zip(scores, lists, strict=True)
        ]
        assert_same(model.rerank(table, lists, keys=["user_id"], batch_size=5), wanted)

    @pytest.mark.parametrize("shared", [True, False])
    def test_items_among_several_targets(self, shared: bool) -> None:
        torch.manual_seed(0)
        inputs = mm.TabularInputBlock(session_schema(), embedding_dim=8, masking=mm.CausalMasking())
        outputs = mm.TabularOutputBlock([mm.CategoricalOutput(top_ks=(3,)), mm.BinaryOutput("click")])
        body = mm.ParallelBlock({"next_item": mm.GRUBlock(8), "click": mm.GRUBlock(8)})
        model = mm.Model(inputs, mm.MLPBlock([8]), mm.GRUBlock(8) if shared else body, outputs).eval()
        table, lists = session_table(6), session_lists(6)
        everything = model.predict(table, k=ITEMS, keys=["user_id"]).to_pylist()
        scores = [dict(zip(r["item_id"], r["item_id_score"], strict=True)) for r in everything]
        wanted = [
            sorted(((i, known[i]) for i in sorted(items)), key=lambda pair: -pair[1])
            for known, items in zip(scores, lists, strict=True)
        ]
        assert_same(model.rerank(table, lists), wanted)
        assert model.rerank(table, lists, score="next_item").equals(model.rerank(table, lists))
        with pytest.raises(ValueError, match=r"no column tagged Tags\.ITEM_ID with one item a row"):
            model.rerank(table, lists, score="click")

    def test_pairs_of_towers(self) -> None:
        torch.manual_seed(0)
        schema = film_schema().excluding(["click", "rating", "year"])
        output = mm.TwoTowerOutput(schema["item_id"], normalized=True, temperature=0.2, top_ks=(1,))
        model = mm.TwoTowerModel(
            schema, query=[mm.Tags.USER, "age"], embedding_dim=6, units=[8, 4], output=output
        ).eval()
        films = FILMS.drop_columns(["year"])
        found = model.rerank(USERS, LISTS, items=films)
        assert_same(found, by_hand(joined(model, "item_id_score"), LISTS, USERS))
        encoded = model.encode_candidates(films)
        assert model.rerank(USERS, LISTS, items=encoded).equals(found)

    def test_arguments_of_ranking_models_are_refused(self) -> None:
        model, table = session_model(), session_table(3)
        with pytest.raises(ValueError, match="CategoricalOutput has a vector for each item of its catalogue"):
            model.rerank(table, [[1], [2], [3]], items=FILMS)
        with pytest.raises(ValueError, match="score is 'click', but CategoricalOutput has one score only"):
            model.rerank(table, [[1], [2], [3]], score="click")

    def test_equal_scores_are_in_order_of_row(self) -> None:
        model = session_model(weight_tying=False).eval()
        with torch.no_grad():
            model.output.weight.zero_()
        found = model.rerank(session_table(2), [[9, 3, 7], [8, 2]], keys=["user_id"])
        assert found["item_id"].to_pylist() == [[3, 7, 9], [2, 8]]


class TestForms:
    def model(self) -> mm.Model:
        torch.manual_seed(0)
        words = mm.Vocabulary(pa.array([f"item {n}" for n in range(2, ITEMS + 1)]))
        model = session_model().eval()
        model.vocabularies = {"item_id": words}
        return model

    def test_answers_of_another_model_are_reranked(self, tmp_path: Path) -> None:
        model, table = self.model(), session_table(10)
        first = model.predict(table, k=6, keys=["user_id"], exclude_seen=True)
        again = model.rerank(table, first, keys=["user_id"])
        assert again["item_id"].to_pylist() == first["item_id"].to_pylist()
        np.testing.assert_allclose(again["score"].to_pylist(), first["score"].to_pylist(), rtol=1e-5)
        pq.write_table(first, tmp_path / "first.parquet")
        for form in (tmp_path / "first.parquet", str(tmp_path / "first.parquet"), first["item_id"]):
            assert model.rerank(table, form, keys=["user_id"]).equals(again)
        column = table.append_column("found", first["item_id"])
        assert model.rerank(column, "found", keys=["user_id"]).equals(again)

    def test_codes_and_ids_are_told_apart(self) -> None:
        model, table = self.model(), session_table(2)
        by_id = model.rerank(table, [["item 4", "item 9", None], ["item 3"]], keys=["user_id"])
        by_code = model.rerank(table, [[9, 4, 0], [3]], coded=True, keys=["user_id"])
        assert by_id.equals(by_code)
        assert {*by_id["item_id"][0].as_py()} == {"item 4", "item 9"}
        with pytest.raises(ValueError, match="of type string, expected rows of the catalogue"):
            model.rerank(table, [["item 4"], ["item 3"]], coded=True)

    def test_one_list_serves_all_rows(self) -> None:
        model, table = self.model(), session_table(3)
        ids = ["item 4", "item 9", "item 5"]
        wanted = model.rerank(table, [ids] * 3, keys=["user_id"])
        assert model.rerank(table, ids, keys=["user_id"]).equals(wanted)
        assert model.rerank(table, pa.array(ids), keys=["user_id"]).equals(wanted)
        codes = torch.tensor([4, 9, 5])
        assert model.rerank(table, codes, coded=True, keys=["user_id"]).equals(wanted)

    def test_unknown_candidates_are_an_error_or_left_out(self) -> None:
        model, table = self.model(), session_table(2)
        lists = [["item 4"], ["item 3", "item 99", "item 5"]]
        with pytest.raises(
            ValueError, match="row 1 of the table has the candidate 'item 99', which the model has no score"
        ):
            model.rerank(table, lists)
        left = model.rerank(table, lists, unknown="drop", keys=["user_id"])
        assert [sorted(row) for row in left["item_id"].to_pylist()] == [["item 4"], ["item 3", "item 5"]]
        with pytest.raises(ValueError, match=f"row 0 of the table has the candidate {ITEMS + 1}, which"):
            model.rerank(table, [[ITEMS + 1], [3]], coded=True)
        # Code 1 stands for what is unknown, -1 for nothing that a model has.
        for code in (1, -1):
            with pytest.raises(ValueError, match=f"row 0 of the table has the candidate {code}, which"):
                model.rerank(table, [[code], [3]], coded=True)
        films = RANKERS["DCN"](film_schema())
        with pytest.raises(
            ValueError, match="row 4 of the table has the candidate 3, which the model has no score for"
        ):
            films.rerank(USERS, [[], [], [], [], [3]], items=FILMS)

    def test_lists_that_do_not_fit_are_refused(self, tmp_path: Path) -> None:
        model, table = self.model(), session_table(3)
        first = model.predict(table, k=2, keys=["user_id"])
        with pytest.raises(
            ValueError, match="candidates has 2 rows and the data 3: give a list of ids for each"
        ):
            model.rerank(table, first.slice(0, 2))
        with pytest.raises(ValueError, match="candidates has user_id 'user 2' where the data has 'user 0'"):
            model.rerank(table, first.take([2, 1, 0]), keys=["user_id"])
        with pytest.raises(
            ValueError, match=r"lists of ids in column 'item_id' of the table, and the candidates"
        ):
            model.rerank(table, first.rename_columns(["user_id", "film", "score"]))
        with pytest.raises(ValueError, match=r"column 'country' of the table, and the data has it as int64"):
            model.rerank(table, "country")
        with pytest.raises(
            ValueError, match=r"candidates is 'foun', which is no column of the data \(item_id, c"
        ):
            model.rerank(table, "foun")
        with pytest.raises(ValueError, match="k is 0, expected at least 1"):
            model.rerank(table, first, k=0)
        with pytest.raises(ValueError, match="unknown is 'skip', expected 'error' or 'drop'"):
            model.rerank(table, first, unknown="skip")  # type: ignore[arg-type]


class TestFiles:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Three files of sessions, in several row groups."""
        data = tmp_path / "data"
        data.mkdir()
        for number, rows in enumerate((30, 9, 17)):
            pq.write_table(session_table(rows, seed=number), data / f"day-{number}.parquet", row_group_size=8)
        return data

    def test_files_hold_what_memory_gives(self, folder: Path, tmp_path: Path) -> None:
        torch.manual_seed(0)
        model = session_model().eval()
        first = model.predict_to_parquet(folder, tmp_path / "first", k=6, keys=["user_id"], exclude_seen=True)
        wanted = model.rerank(folder, first, k=3, keys=["user_id"])
        out = model.rerank_to_parquet(folder, tmp_path / "out", first, k=3, keys=["user_id"], batch_size=7)
        assert sorted(path.name for path in out.iterdir()) == [f"day-{n}.parquet" for n in range(3)]
        found = pq.read_table(out)
        assert found.drop_columns(["score"]).equals(wanted.drop_columns(["score"]))
        flat = [table["score"].combine_chunks().flatten().to_numpy() for table in (found, wanted)]
        np.testing.assert_allclose(*flat, rtol=1e-5)
        halves = tmp_path / "halves"
        for part in (0, 1):
            model.rerank_to_parquet(folder, halves, first, k=3, keys=["user_id"], part=(part, 2))
        assert pq.read_table(halves)["item_id"].to_pylist() == found["item_id"].to_pylist()

    def test_other_questions_are_told_apart(self, folder: Path, tmp_path: Path) -> None:
        model, out = session_model().eval(), tmp_path / "out"
        model.rerank_to_parquet(folder, out, [3, 5, 9], k=2)
        model.rerank_to_parquet(folder, out, [3, 5, 9], k=2)
        for ids, k in (([3, 5, 8], 2), ([3, 5, 9], 1)):
            with pytest.raises(FileExistsError, match=r"day-0\.parquet holds something else, or answers of"):
                model.rerank_to_parquet(folder, out, ids, k=k)

    def test_memory_does_not_grow_with_the_rows(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rows and candidates are read by row group, and answers are written as they come."""
        torch.manual_seed(0)
        model = mm.DCNModel(click_schema().excluding(["weight", "rating"]), embedding_dim=4).eval()
        table = click_table(3000).drop_columns(["item_id"])
        rng = np.random.default_rng(0)
        lists = pa.table({"item_id": pa.array(rng.integers(1, 10, (3000, 4)).tolist())})
        pq.write_table(table, tmp_path / "users.parquet", row_group_size=100)
        pq.write_table(lists, tmp_path / "lists.parquet", row_group_size=70)
        monkeypatch.setattr("merlin_models_torch.retrieval.writing._ROWS", 250)
        read, largest = (
            type(mm.ParquetLoader(tmp_path / "users.parquet", _user_schema(), batch_size=9).source),
            0,
        )
        own = read.read

        def counted(self: Any, part: Any, columns: Any) -> pa.Table:
            nonlocal largest
            found = own(self, part, columns)
            largest = max(largest, found.num_rows)
            return found

        monkeypatch.setattr(read, "read", counted)
        users, given = tmp_path / "users.parquet", tmp_path / "lists.parquet"
        out = model.rerank_to_parquet(users, tmp_path / "out", given, k=2, batch_size=64, keys=["age"])
        assert largest == 100
        file = pq.ParquetFile(out / "users.parquet")
        assert max(file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)) < 250 + 64
        wanted = model.rerank(table, lists, k=2, keys=["age"], batch_size=64)
        assert file.read()["item_id"].to_pylist() == wanted["item_id"].to_pylist()


def _user_schema() -> mm.Schema:
    return click_schema().select_by_name(["user_id", "age"])
