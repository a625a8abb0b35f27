"""The best of all candidates for each query of two towers: by plain scores, with original ids and keys."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.retrieval import TopKEncoder
from tests.unit.clicks import click_schema, click_table
from tests.unit.schemas import categorical
from tests.unit.sessions import session_model, session_table

USERS = pa.table({"user_id": [3, 1, 12, 7, 5], "age": pa.array([0.1, 0.5, 0.2, 0.9, 0.4], pa.float32())})
# Two rows of item 4: the first counts. Row 0 is padding.
ITEMS = pa.table({"item_id": [4, 9, 0, 2, 4, 7], "genres": [[1, 2], [3], [1], [2], [3, 3], [1, 3]]})


def films_schema() -> mm.Schema:
    return click_schema().select_by_name(["user_id", "item_id", "age"]) + mm.Schema(
        [categorical("genres", 3, mm.Tags.ITEM)]
    )


def towers(**output: object) -> mm.Model:
    torch.manual_seed(0)
    schema = films_schema()
    return mm.TwoTowerModel(
        schema,
        query=[mm.Tags.USER, "age"],
        embedding_dim=6,
        units=[8, 4],
        output=mm.TwoTowerOutput(schema["item_id"], top_ks=(1,), **output),  # type: ignore[arg-type]
    )


def factors(**options: object) -> mm.Model:
    torch.manual_seed(0)
    return mm.MatrixFactorizationModel(click_schema(), dim=4, **options)  # type: ignore[arg-type]


def plain_answers(model: mm.Model, items: pa.Table, k: int, seen: dict[int, set[int]] | None = None) -> list:
    """Every pair of user and item as a row, by the model's own score."""
    known = dict(
        zip(reversed(items["item_id"].to_pylist()), reversed(items["genres"].to_pylist()), strict=True)
    )
    known.pop(0)
    answers = []
    for user in USERS.to_pylist():
        rows = pa.table(
            {
                **{name: pa.array([value] * len(known), USERS[name].type) for name, value in user.items()},
                "item_id": list(known),
                "genres": list(known.values()),
            }
        )
        scores = model.predict(rows)["item_id_score"].to_pylist()
        ranked = sorted(zip(scores, known, strict=True), key=lambda pair: (-pair[0], pair[1]))
        answers.append([(i, s) for s, i in ranked if i not in (seen or {}).get(user["user_id"], ())][:k])
    return answers


def assert_answers(found: pa.Table, wanted: list) -> None:
    for row, pairs in zip(found.to_pylist(), wanted, strict=True):
        k = len(row["item_id"])
        assert row["item_id"] == [i for i, _ in pairs] + [None] * (k - len(pairs))
        expected = [s for _, s in pairs] + [-float("inf")] * (k - len(pairs))
        np.testing.assert_allclose(row["score"], expected, rtol=1e-5)


@pytest.mark.parametrize("output", [{}, {"normalized": True, "temperature": 0.1}])
def test_answers_are_the_best_of_all_pairs(output: dict[str, object]) -> None:
    model = towers(**output)
    found = model.predict(USERS, k=3, candidates=ITEMS, batch_size=2)
    assert found.column_names == ["user_id", "item_id", "score"]
    assert found["user_id"].to_pylist() == USERS["user_id"].to_pylist()
    assert_answers(found, plain_answers(model, ITEMS, 3))
    assert model.training


@pytest.mark.parametrize("form", ["events", "lists"])
def test_what_was_seen_is_left_out_and_missing_answers_are_null(form: str) -> None:
    # User 99 is not asked for, item 5 is no candidate, user 1 has seen nothing.
    pairs = [(99, 4), (3, 4), (12, 9), (3, 5), (3, 7), (12, 9), (7, 2)]
    seen = pa.table({"user_id": [u for u, _ in pairs], "item_id": [i for _, i in pairs]})
    if form == "lists":
        seen = pa.table({"user_id": [99, 3, 12, 7], "item_id": [[4], [4, 5, 7], [9, 9], [2]]})
    model = towers()
    found = model.predict(USERS, k=4, candidates=ITEMS, seen=seen, batch_size=3)
    wanted = plain_answers(model, ITEMS, 4, {3: {4, 5, 7}, 12: {9}, 7: {2}})
    assert [len(row) for row in wanted] == [2, 4, 3, 3, 4]
    assert_answers(found, wanted)
    everything = model.predict(USERS, k=4, candidates=ITEMS, seen=seen, exclude_seen=False)
    assert_answers(everything, plain_answers(model, ITEMS, 4))


def test_items_of_the_deny_list_are_no_answers() -> None:
    model, known = towers(), ITEMS["item_id"].to_pylist()
    deny = [7]
    left = ITEMS.filter(pa.array([item not in deny for item in known]))
    found = model.predict(USERS, k=3, candidates=ITEMS, exclude=deny, batch_size=2)
    assert_answers(found, plain_answers(model, left, 3))
    assert not {*deny} & {item for row in found["item_id"].to_pylist() for item in row}


def test_candidates_come_from_files_and_events_and_are_encoded_once(tmp_path: Path) -> None:
    model = towers()
    wanted = model.predict(USERS, k=2, candidates=ITEMS)
    pq.write_table(ITEMS, tmp_path / "items.parquet")
    pq.write_table(USERS, tmp_path / "users.parquet")
    assert model.predict(tmp_path / "users.parquet", k=2, candidates=tmp_path / "items.parquet").equals(
        wanted
    )
    candidates = model.encode_candidates(ITEMS, batch_size=2)
    assert candidates.ids.tolist() == [2, 4, 7, 9]
    found = model.predict(USERS, k=2, candidates=candidates)
    assert found.drop_columns("score").equals(wanted.drop_columns("score"))
    # Products of other sizes may be rounded otherwise.
    np.testing.assert_allclose(found["score"].to_pylist(), wanted["score"].to_pylist(), rtol=1e-5)
    assert candidates.places(torch.tensor([9, 3, 2, 10])).tolist() == [3, -1, 0, -1]
    loader = mm.ParquetLoader(ITEMS, films_schema().select_by_name(["item_id", "genres"]), batch_size=4)
    assert model.predict(USERS, k=2, candidates=loader).equals(wanted)


def test_a_tower_without_item_ids_answers_with_them() -> None:
    torch.manual_seed(0)
    schema = films_schema()
    output = mm.TwoTowerOutput(schema["item_id"], top_ks=(1,))
    model = mm.TwoTowerModel(schema, candidate="genres", embedding_dim=4, units=[4], output=output)
    found = model.predict(USERS, k=4, candidates=ITEMS)
    assert [sorted(row) for row in found["item_id"].to_pylist()] == [[2, 4, 7, 9]] * 5


def test_the_catalogue_is_the_candidates_of_a_tower_of_ids_and_ids_are_the_original_ones(
    tmp_path: Path,
) -> None:
    users = mm.Vocabulary(pa.array([f"user {n}" for n in range(2, 13)]))
    items = mm.Vocabulary(pa.array([f"film {n}" for n in range(2, 10)]))
    model = factors(vocabularies={"user_id": users, "item_id": items})
    seen = click_table(40)
    found = model.predict(USERS.select(["user_id"]), k=8, seen=seen)
    # Codes 0 and 1 are padding and unknown.
    assert found["user_id"].to_pylist() == ["user 3", None, "user 12", "user 7", "user 5"]
    own = dict.fromkeys(USERS["user_id"].to_pylist(), frozenset[str]())
    for user, item in zip(seen["user_id"].to_pylist(), seen["item_id"].to_pylist(), strict=True):
        own[user] = own.get(user, frozenset()) | {f"film {item}"}
    for user, row in zip(USERS["user_id"].to_pylist(), found["item_id"].to_pylist(), strict=True):
        assert {i for i in row if i is not None} == {f"film {n}" for n in range(2, 10)} - own[user]
    again = mm.load(model.save(tmp_path / "model"))
    assert again.predict(USERS.select(["user_id"]), k=8, seen=seen).equals(found)


def test_rows_with_original_ids_are_coded_by_the_model(tmp_path: Path) -> None:
    items = mm.Vocabulary(pa.array([f"item {n}" for n in range(29)]))
    model = mm.SessionModel(
        mm.Schema([session_model().schema["item_id"]]),
        dim=8,
        layers=1,
        vocabularies={"item_id": items},
        max_sequence_length=9,
    )
    sessions = [["item 4", "item 7"], ["item 0"], [], ["item 28", None, "new"]]
    raw = pa.table({"item_id": sessions, "other": ["a", "b", "c", "d"]})
    pq.write_table(raw.slice(0, 2), tmp_path / "1.parquet")
    pq.write_table(raw.slice(2), tmp_path / "2.parquet")
    coded = model.coded(tmp_path)
    # 0 is missing, 1 is unknown.
    assert coded["item_id"].to_pylist() == [[6, 9], [2], [], [30, 0, 1]]
    assert coded["other"].to_pylist() == ["a", "b", "c", "d"]
    for data in (raw, raw.to_pydict()):
        assert model.coded(data)["item_id"].to_pylist() == coded["item_id"].to_pylist()
    rows = coded.slice(0, 2)
    wanted = TopKEncoder(model, k=3).answer(raw.slice(0, 2))["item_id"]
    assert model.predict(rows, k=3)["item_id"].to_pylist() == wanted.to_pylist()
    allowed = model.coded({"item_id": ["item 3", "item 5"]})
    found = model.predict(rows, k=2, candidates=allowed)["item_id"].to_pylist()
    assert [set(row) for row in found] == [{"item 3", "item 5"}] * 2
    with pytest.raises(ValueError, match=r"item_id|vocabulary"):
        model.coded({"item_id": [[{"no": "id"}]]})


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"reads \['item_id', 'genres'\].*pass candidates="):
        towers().predict(USERS, k=2)
    with pytest.raises(ValueError, match="k is 5, but there are 4 candidates"):
        towers().predict(USERS, k=5, candidates=ITEMS)
    with pytest.raises(ValueError, match="exclude_seen is True, but rows of queries"):
        factors().predict(USERS, k=2, exclude_seen=True)
    with pytest.raises(ValueError, match=r"seen \(the table\) has columns \['item_id'\], expected 'item_id'"):
        factors().predict(USERS, k=2, seen=pa.table({"item_id": [1]}))
    with pytest.raises(ValueError, match="key 'user_id' has type int64 in the data and string in seen"):
        factors().predict(USERS, k=2, seen=pa.table({"user_id": ["a"], "item_id": [1]}))
    with pytest.raises(ValueError, match=r"seen \(the table\) has item 99 in column 'item_id', but the cat"):
        factors().predict(USERS, k=2, seen=pa.table({"user_id": [1], "item_id": [99]}))
    with pytest.raises(ValueError, match="the candidates hold no item"):
        towers().predict(USERS, k=2, candidates=ITEMS.slice(2, 1))
    with pytest.raises(ValueError, match=r"expected 'item_id' and just one of the keys \['row'\]"):
        session_model().predict(session_table(), k=2, seen=USERS)
    with pytest.raises(ValueError, match="candidates holds item 31, but the catalogue has rows 0 to 30"):
        session_model().predict(session_table(), k=1, candidates=[3, 31])
    with pytest.raises(ValueError, match="k is 3, but there are 2 candidates"):
        session_model().predict(session_table(), k=3, candidates=[0, 7, 4, 7])
    with pytest.raises(ValueError, match="TwoTowerOutput with k=None"):
        factors().predict(click_table(), seen=click_table())


def test_a_body_without_separate_towers_is_refused() -> None:
    schema = click_schema().select_by_name(["user_id", "item_id"])
    both = mm.ParallelBlock({"query": mm.MLPBlock([3]), "candidate": mm.MLPBlock([3])})
    output = mm.TwoTowerOutput("item_id", size=10, top_ks=(1,))
    model = mm.Model(mm.TabularInputBlock(schema, embedding_dim=4), both, output)
    with pytest.raises(TypeError, match="no tower 'query' that reads columns by itself"):
        model.predict(USERS, k=1)


def test_sessions_without_items_are_answered_by_a_place_of_their_own_or_refused() -> None:
    """Whether other rows of their batch have items makes no difference."""
    rows = session_table(3).to_pylist()
    lists = ("item_id", "category", "age", "price")
    rows[1:] = [{**row, **{name: [] for name in lists}} for row in rows[1:]]
    table = pa.Table.from_pylist(rows, session_table(1).schema)

    def answers(model: mm.Model, some: pa.Table) -> list[dict[str, object]]:
        loader = mm.ParquetLoader(some, model.schema, batch_size=3, empty="keep")
        return model.eval().predict(loader, k=3).drop(["row"]).to_pylist()

    torch.manual_seed(0)
    both = session_model(mm.RandomMasking())
    alone, beside = answers(both, table.slice(1)), answers(both, table)[1:]
    for one, other in zip(alone, beside, strict=True):
        assert one["item_id"] == other["item_id"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-6)
    for some, text in ((table, "2 of 3 rows"), (table.slice(1), "2 of 2 rows")):
        with pytest.raises(ValueError, match=f"{text} have no items, and the model predicts from the last"):
            answers(session_model(), some)
        loader = mm.ParquetLoader(some, both.schema, batch_size=3, empty="keep")
        assert session_model(mm.RandomMasking()).encode_sessions(loader).num_rows == len(some)
        with pytest.raises(ValueError, match=f"{text} have no items"):
            session_model().encode_sessions(loader)
        # A batch by hand gets one answer for each row, or the same error.
        batch = next(iter(loader))
        assert session_model(mm.RandomMasking()).topk(batch, k=3)[1].shape == (len(some), 3)
        for ask in (
            lambda model, rows: model.topk(rows, k=3),
            lambda model, rows: model.predict_step(rows, 0),
            lambda model, rows: model(rows),
        ):
            assert len(ask(session_model(mm.RandomMasking()).eval(), batch)[0]) > 0
            with pytest.raises(
                ValueError, match=f"{text} have no items, and the model predicts from the last"
            ):
                ask(session_model().eval(), batch)


def test_candidates_of_a_tower_that_reads_ids_alone_may_be_rows_of_items() -> None:
    model = factors()
    table = model.predict(USERS, k=2, candidates=pa.table({"item_id": [2, 5, 7]}))
    for rows in ([7, 2, 5, 7], torch.tensor([2, 5, 7]), np.array([5, 2, 7]), pa.array([2, 7, 5])):
        assert model.predict(USERS, k=2, candidates=rows).equals(table)
    assert {item for row in table["item_id"].to_pylist() for item in row} <= {2, 5, 7}
    with pytest.raises(ValueError, match="candidates holds item 99, but the catalogue has rows 0 to 9"):
        model.predict(USERS, k=2, candidates=[2, 99])
    with pytest.raises(
        ValueError, match=r"candidates are rows of items, and the candidate tower reads \['item_id',"
    ):
        towers().predict(USERS, k=2, candidates=[2, 5])
