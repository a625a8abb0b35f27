"""Original ids in files, coded while they are read: the answers to the same rows coded before."""

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.data.source import ParquetSource
from tests.unit.retrieval.test_predict import factors
from tests.unit.schemas import ITEMS, categorical, session_schema
from tests.unit.sessions import session_model, session_table

VOCABULARIES = {
    "item_id": mm.Vocabulary(pa.array([f"item {n}" for n in range(ITEMS - 1)])),
    "category": mm.Vocabulary(pa.array([10 * n for n in range(6)], pa.int32())),
}


def text_model() -> mm.Model:
    torch.manual_seed(0)
    model = session_model()
    model.vocabularies.update(VOCABULARIES)
    return model.eval()


def raw_sessions(rows: int, *, seed: int = 0) -> pa.Table:
    """Sessions with original ids; code 1 as ids that no vocabulary has, and one id is missing."""
    table, rng = session_table(rows, seed=seed), np.random.default_rng(seed)
    unknown = {"item_id": ["new", "newer"], "category": [-7, 2**40]}
    for name, vocabulary in VOCABULARIES.items():
        lists = [
            [
                v if v is not None else unknown[name][rng.integers(2)]
                for v in vocabulary.decode(row).to_pylist()
            ]
            for row in table[name].to_pylist()
        ]
        lists[0][0] = None
        kind = pa.large_list(pa.large_string()) if name == "item_id" else pa.list_(pa.int64())
        table = table.set_column(table.column_names.index(name), name, pa.array(lists, kind))
    return table


def written(folder: Path) -> Path:
    """Two files of several row groups, the second with ids in another Arrow type."""
    folder.mkdir()
    pq.write_table(raw_sessions(30), folder / "1.parquet", row_group_size=8)
    second = raw_sessions(11, seed=1)
    lists = second["item_id"].cast(pa.list_(pa.string()))
    pq.write_table(second.set_column(0, "item_id", lists), folder / "2.parquet", row_group_size=4)
    return folder


def test_answers_are_those_to_coded_rows(tmp_path: Path) -> None:
    model, data = text_model(), written(tmp_path / "days")
    wanted = model.predict(model.coded(data), k=5, keys=["user_id"], exclude_seen=True)
    raw = model.raw_ids(data)
    assert model.predict(raw, k=5, keys=["user_id"], exclude_seen=True).equals(wanted)
    streamed = mm.ParquetLoader(raw, model.schema, batch_size=7, memory_limit=0)
    assert not streamed.in_memory
    found = model.predict(streamed, k=5, keys=["user_id"], exclude_seen=True)
    assert found.drop_columns("score").equals(wanted.drop_columns("score"))
    codes = model.coded(data)["item_id"].to_pylist()
    assert codes[0][0] == 0
    assert any(1 in row for row in codes)
    frame = pa.concat_tables([raw_sessions(30), raw_sessions(11, seed=1)])
    assert model.predict(model.raw_ids(frame), k=5, keys=["user_id"], exclude_seen=True).equals(wanted)


def test_files_of_answers_are_those_to_coded_rows_and_are_not_made_twice(tmp_path: Path) -> None:
    model, data = text_model(), written(tmp_path / "days")
    options: dict[str, Any] = {"k": 3, "keys": ["user_id"], "batch_size": 5}
    raw = model.raw_ids(data)
    out = model.predict_to_parquet(raw, tmp_path / "out", **options)
    for name in ("1.parquet", "2.parquet"):
        wanted = model.predict(model.coded(data / name), k=3, keys=["user_id"], batch_size=5)
        assert pq.read_table(out / name).equals(wanted)
    made = (out / "1.parquet").stat().st_mtime_ns
    (out / "2.parquet").unlink()
    model.predict_to_parquet(raw, out, **options)
    assert (out / "1.parquet").stat().st_mtime_ns == made
    assert pq.read_table(out / "2.parquet").equals(wanted)
    for number in range(2):
        model.predict_to_parquet(raw, tmp_path / "shares", part=(number, 2), **options)
    shares = pq.read_table(tmp_path / "shares")
    assert shares.drop_columns("score").equals(model.predict(raw, **options).drop_columns("score"))
    codes = model.coded(data / "1.parquet")
    pq.write_table(codes, data / "1.parquet")
    (data / "2.parquet").unlink()
    model.predict_to_parquet(data, tmp_path / "codes", **options)
    with pytest.raises(FileExistsError, match="or answers of another model, data or question"):
        model.predict_to_parquet(model.raw_ids(data), tmp_path / "codes", **options)


def test_no_more_than_a_row_group_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, largest = text_model(), 0
    pq.write_table(raw_sessions(600), tmp_path / "raw.parquet", row_group_size=20)
    own = ParquetSource.read

    def counted(self: Any, part: Any, columns: Any) -> pa.Table:
        nonlocal largest
        found = own(self, part, columns)
        largest = max(largest, found.num_rows)
        return found

    monkeypatch.setattr(ParquetSource, "read", counted)
    monkeypatch.setattr("merlin_models_torch.retrieval.writing._ROWS", 50)
    model.predict_to_parquet(model.raw_ids(tmp_path / "raw.parquet"), tmp_path / "out", k=2, keys=["user_id"])
    assert largest == 20


def test_measures_are_those_of_coded_rows(tmp_path: Path) -> None:
    model, data = text_model(), written(tmp_path / "days")
    trainer = lightning.Trainer(logger=False, enable_progress_bar=False, enable_model_summary=False)
    loaders = [
        mm.ParquetLoader(rows, model.schema, batch_size=9, memory_limit=0)
        for rows in (model.coded(data), model.raw_ids(data))
    ]
    wanted, found = (trainer.test(model, loader, verbose=False)[0] for loader in loaders)
    assert found == pytest.approx(wanted, rel=1e-5)
    page = mm.report(model, model.raw_ids(data), tmp_path / "page", examples=1).read_text()
    assert page == mm.report(model, loaders[1], tmp_path / "same", examples=1).read_text()


def test_users_that_are_unknown_keep_their_ids_and_what_they_have_seen() -> None:
    users = mm.Vocabulary(pa.array([f"user {n}" for n in range(11)]))
    items = mm.Vocabulary(pa.array([f"film {n}" for n in range(8)]))
    model = factors(vocabularies={"user_id": users, "item_id": items})
    rows = model.raw_ids({"user_id": ["user 3", "new", "newer"]})
    seen = {"user_id": ["new", "user 3", "newer", "new"], "item_id": ["film 1", "film 2", "film 3", "none"]}
    found = model.predict(rows, k=8, seen=model.raw_ids(seen))
    assert found["user_id"].to_pylist() == ["user 3", "new", "newer"]
    left_out = [{f"film {n}" for n in range(8)} - {*row} for row in found["item_id"].to_pylist()]
    assert left_out == [{"film 2"}, {"film 1"}, {"film 3"}]
    # Codes are compared with codes: what is unknown here is the user with code 1 there.
    coded = {"user_id": [users.encode(["user 3"])[0], 1], "item_id": items.encode(["film 5", "film 6"])}
    found = model.predict(rows, k=8, seen=coded)
    left_out = [{f"film {n}" for n in range(8)} - {*row} for row in found["item_id"].to_pylist()]
    assert left_out == [{"film 5"}, {"film 6"}, {"film 6"}]
    found = model.predict(model.coded(rows.data), k=8, seen=model.raw_ids(seen))
    assert found["user_id"].to_pylist() == ["user 3", None, None]
    assert "film 2" not in found["item_id"].to_pylist()[0]
    some = model.raw_ids({"item_id": ["film 1", "film 7", "film 4"]})
    found = model.predict(
        rows, k=1, candidates=some, exclude=model.raw_ids({"item_id": ["film 1", "film 7"]})
    )
    assert found["item_id"].to_pylist() == [["film 4"]] * 3


def test_candidates_and_vectors_of_raw_rows(tmp_path: Path) -> None:
    model, data = text_model(), written(tmp_path / "days")
    first = model.predict(model.raw_ids(data), k=4, keys=["user_id"])
    wanted = model.rerank(model.coded(data), first, k=2, keys=["user_id"])
    assert model.rerank(model.raw_ids(data), first, k=2, keys=["user_id"]).equals(wanted)
    own = model.raw_ids(pa.concat_tables([raw_sessions(30)]).append_column("options", first["item_id"][:30]))
    assert model.rerank(own, "options", k=2, keys=["user_id"]).equals(wanted.slice(0, 30).combine_chunks())
    vectors = model.encode_sessions(model.coded(data), keys=["user_id"])
    assert model.encode_sessions(model.raw_ids(data), keys=["user_id"]).equals(vectors)


def test_errors_name_column_and_file(tmp_path: Path) -> None:
    schema = mm.Schema([categorical("item_id", 20, mm.Tags.ITEM_ID)])
    numbers = mm.Vocabulary(pa.array(range(100, 119)))
    model = mm.SessionModel(schema, dim=8, layers=1, vocabularies={"item_id": numbers}, top_ks=(2,))
    for name, rows in {"1": [[101, 102]], "2": [[103, 1.5]], "3": [["101", "x"]]}.items():
        pq.write_table(pa.table({"item_id": rows}), tmp_path / f"{name}.parquet")
    with pytest.raises(
        mm.data.DataError, match=r"column 'item_id' of .*2.parquet does not fit.* type double"
    ):
        model.predict(model.raw_ids([tmp_path / "1.parquet", tmp_path / "2.parquet"]), k=2)
    with pytest.raises(mm.data.DataError, match=r"column 'item_id' of .*3.parquet does not fit.*'x'"):
        model.predict_to_parquet(model.raw_ids(tmp_path / "3.parquet"), tmp_path / "out", k=2)
    assert not [*(tmp_path / "out").iterdir()]
    pq.write_table(pa.table({"item_id": [[{"no": "id"}]]}), tmp_path / "5.parquet")
    with pytest.raises(
        mm.data.DataError,
        match=r"column 'item_id' of .*5.parquet has type list.*, expected ids of type int64",
    ):
        model.predict(model.raw_ids(tmp_path / "5.parquet"), k=2)
    with pytest.raises(mm.data.DataError, match=r"3.parquet has type .*model.raw_ids"):
        model.predict(tmp_path / "3.parquet", k=2)
    text = pa.table({"item_id": [["101", "999"]]})
    assert model.coded(text)["item_id"].to_pylist() == [[3, 1]]


def test_original_ids_among_codes_are_refused(tmp_path: Path) -> None:
    model, rows = text_model(), session_table(3)
    own = pa.table({"item_id": ["item 1", "item 2"], "user_id": ["user 0", "user 1"]})
    wanted = r"column 'item_id' of {} has type string, expected codes of items.*model.raw_ids"
    for name, where in (
        ("exclude", "exclude"),
        ("candidates", "candidates"),
        ("seen", r"seen \(the table\)"),
    ):
        filters: dict[str, Any] = {name: own}
        with pytest.raises(mm.data.DataError, match=wanted.format(where)):
            model.predict(rows, k=1, keys=["user_id"], **filters)
    with pytest.raises(mm.data.DataError, match=wanted.format("the table")):
        mm.report(model, rows, tmp_path, popularity=own)
    with pytest.raises(
        mm.data.DataError, match=r"candidates holds 'item 1', .*model.raw_ids\({'item_id': ids"
    ):
        model.predict(rows, k=1, candidates=["item 1"])


def test_rows_are_counted_in_their_file(tmp_path: Path) -> None:
    model = session_model(masking=None)
    for name, seed in (("1", 0), ("2", 1)):
        pq.write_table(session_table(10, seed=seed), tmp_path / f"{name}.parquet", row_group_size=4)
    table = pq.read_table(tmp_path / "2.parquet")
    lists = table["category"].to_pylist()
    lists[6] = [1]
    broken = table.set_column(1, "category", pa.array(lists))
    pq.write_table(broken, tmp_path / "2.parquet", row_group_size=4)
    for run in (
        lambda: model.predict(tmp_path, k=2, batch_size=3),
        lambda: model.predict_to_parquet(tmp_path, tmp_path / "out", k=2, batch_size=3),
        lambda: model.encode_sessions(tmp_path, batch_size=3),
    ):
        with pytest.raises(ValueError, match=r"row 6 of .*2.parquet has 1 values in list column 'category'"):
            run()
    lists[6] = [99] * len(table["item_id"][6])
    pq.write_table(table.set_column(1, "category", pa.array(lists)), tmp_path / "2.parquet", row_group_size=4)
    for limit in (0, 2**30):
        with pytest.raises(mm.data.DataError, match=r"category' of .*2.parquet.* has id 99"):
            [*mm.ParquetLoader(tmp_path, session_schema(), batch_size=3, memory_limit=limit)]
    with pytest.raises(mm.data.DataError, match=r"2.parquet has id 99.*the first in row 6\)"):
        mm.ParquetLoader(tmp_path, session_schema(), batch_size=3)
