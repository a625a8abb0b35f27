"""Answers to tables of every kind, filtered, and as parquet files: equal, whole, resumable."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.retrieval import predict as predicting
from tests.unit.clicks import click_schema, click_table
from tests.unit.schemas import ITEMS, session_schema
from tests.unit.sessions import session_model, session_table


def model_of_sessions() -> mm.Model:
    torch.manual_seed(0)
    return session_model().eval()


def multi_task() -> mm.Model:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim=8, masking=mm.CausalMasking())
    outputs = mm.TabularOutputBlock([mm.CategoricalOutput(top_ks=(3,)), mm.BinaryOutput("click")])
    return mm.Model(inputs, mm.GRUBlock(8), outputs).eval()


def clicks() -> mm.Model:
    torch.manual_seed(0)
    return mm.Model(
        mm.TabularInputBlock(click_schema(), embedding_dim=4), mm.MLPBlock([4]), mm.BinaryOutput("click")
    ).eval()


def click_of_a_session() -> mm.Model:
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(session_schema(), embedding_dim=8)
    return mm.Model(inputs, mm.GRUBlock(8, any_masking=True), mm.BinaryOutput("click")).eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of sessions, in several row groups."""
    data = tmp_path / "data"
    data.mkdir()
    for number, rows in enumerate((30, 9, 17)):
        pq.write_table(session_table(rows, seed=number), data / f"day-{number}.parquet", row_group_size=8)
    return data


class TestForms:
    @pytest.mark.parametrize(
        "form", ["loader", "dict", "tensors", "pandas", "polars", "file", "record batch"]
    )
    def test_any_form_of_data_has_the_same_answers(self, form: str, tmp_path: Path) -> None:
        if form in ("pandas", "polars"):
            pytest.importorskip(form, reason=f"{form} is not installed here")
        model, table = model_of_sessions(), session_table(12)
        data: Any = table
        if form == "loader":
            data = mm.ParquetLoader(table, session_schema(), batch_size=5, shuffle=True)
        elif form == "dict":
            data = table.to_pydict()
        elif form == "tensors":
            model, data = (
                clicks(),
                {
                    name: torch.tensor(c.to_pylist())
                    for name, c in zip(click_table(9).column_names, click_table(9).columns, strict=True)
                },
            )
            assert model.predict(data).equals(model.predict(click_table(9)))
            return
        elif form == "pandas":
            data = table.to_pandas()
        elif form == "polars":
            import polars

            data = polars.from_arrow(table)
        elif form == "file":
            data = tmp_path / "sessions.parquet"
            pq.write_table(table, data)
        elif form == "record batch":
            data = table.combine_chunks().to_batches()[0]
        found = model.predict(data, k=4, keys=["user_id"])
        wanted = model.predict(table, k=4, keys=["user_id"])
        assert (
            found.select(["user_id", "item_id"]).to_pydict()
            == wanted.select(["user_id", "item_id"]).to_pydict()
        )
        np.testing.assert_allclose(found["score"].to_pylist(), wanted["score"].to_pylist(), rtol=1e-5)

    @pytest.mark.parametrize("task", ["click", "several targets", "click of a session"])
    @pytest.mark.parametrize("form", ["loader", "dict", "pandas", "polars", "file"])
    def test_every_task_answers_to_any_form(self, form: str, task: str, tmp_path: Path) -> None:
        if form in ("pandas", "polars"):
            pytest.importorskip(form, reason=f"{form} is not installed here")
        model, table = {
            "click": (clicks, click_table(9)),
            "several targets": (multi_task, session_table(9)),
            "click of a session": (click_of_a_session, session_table(9)),
        }[task]
        forms: dict[str, Callable[[], Any]] = {
            "loader": lambda: mm.ParquetLoader(table, model().schema, batch_size=4),
            "dict": table.to_pydict,
            "pandas": table.to_pandas,
            "polars": lambda: __import__("polars").from_arrow(table),
            "file": lambda: pq.write_table(table, tmp_path / "rows.parquet") or tmp_path / "rows.parquet",
        }
        found, wanted = model().predict(forms[form](), keys=[]), model().predict(table, keys=[])
        assert found.column_names == wanted.column_names
        for name in wanted.column_names:
            ours, theirs = (one[name].to_pylist() for one in (found, wanted))
            for one, other in zip(ours, theirs, strict=True):
                assert one == pytest.approx(other, rel=1e-5)

    def test_columns_that_do_not_fit_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"the columns have \{'a': 1, 'b': 2\} rows"):
            clicks().predict({"a": [1], "b": [1, 2]})
        with pytest.raises(ValueError, match="column 'a' does not fit Arrow"):
            clicks().predict({"a": [1, "x"]})


def plain(
    model: mm.Model, table: pa.Table, k: int, only: set[int], left_out: list[set[int]]
) -> list[list[int]]:
    """The k best by the full matrix of logits, sorted in plain Python."""
    batch = next(iter(mm.ParquetLoader(table, model.schema, batch_size=table.num_rows)))
    with torch.no_grad():
        logits = model(batch).tolist()
    answers = []
    for row, out in zip(logits, left_out, strict=True):
        ranked = sorted(only - out - {0}, key=lambda item: (-row[item], item))[:k]
        answers.append(ranked + [None] * (k - len(ranked)))
    return answers


class TestFilters:
    @pytest.mark.parametrize("form", ["list", "tensor", "table", "array", "lists"])
    def test_only_candidates_are_answers(self, form: str) -> None:
        model, table, items = model_of_sessions(), session_table(10), [7, 0, 22, 3, 3, 15, 29]
        given: Any = {
            "list": items,
            "tensor": torch.tensor(items),
            "array": np.array(items),
            "table": pa.table({"item_id": items}),
            "lists": pa.table({"item_id": [items[:3], items[3:]]}),
        }[form]
        found = model.predict(table, k=5, candidates=given)["item_id"].to_pylist()
        assert found == plain(model, table, 5, set(items), [set()] * 10)

    def test_rows_without_items_that_are_kept_are_refused_where_they_cannot_be_answered(self) -> None:
        schema = session_schema().select_by_name(["item_id"])
        rows = pa.table({"item_id": [[1, 2], []]})
        loader = mm.ParquetLoader(rows, schema, batch_size=2, empty="keep")
        with pytest.raises(ValueError, match="rows have no items, and the model predicts from the last"):
            mm.SessionModel(schema, dim=8, layers=1).predict(loader, k=2)
        assert mm.SessionModel(schema, dim=8, layers=1, masking="random").predict(loader, k=2).num_rows == 2

    def test_parts_in_eval_mode_stay_so(self) -> None:
        model = model_of_sessions()
        model.train()
        model.body.layers[0].eval()
        model.predict(session_table(2), k=1)
        modes = [module.training for module in model.body.layers]
        assert modes == [False] + [True] * (len(modes) - 1)
        assert model.training

    def test_candidates_may_be_a_column_and_are_whole_numbers(self) -> None:
        model, table, items = model_of_sessions(), session_table(10), [7, 0, 22, 3, 3, 15, 29]
        wanted = model.predict(table, k=5, candidates=items)
        pytest.importorskip("pandas")
        arrow = pa.array(items)
        for column in (
            arrow,
            pa.chunked_array([arrow]),
            arrow.to_pandas(),
            arrow.to_pandas().astype("int32"),
        ):
            assert model.predict(table, k=5, candidates=column).equals(wanted)
        with pytest.raises(TypeError, match="candidates holds float64 values, expected whole numbers"):
            model.predict(table, k=1, candidates=[2.5])
        with pytest.raises(ValueError, match=r"original ids as model\.raw_ids\({'item_id': ids}\)"):
            model.predict(table, k=1, exclude=[1000])

    @pytest.mark.parametrize("form", ["list", "tensor", "table", "file"])
    def test_items_of_the_deny_list_are_no_answers(self, form: str, tmp_path: Path) -> None:
        model, table, items = model_of_sessions(), session_table(10), [7, 22, 3, 3, 15, 29]
        given: Any = {"list": items, "tensor": torch.tensor(items), "table": pa.table({"item_id": items})}
        if form == "file":
            pq.write_table(given["table"], tmp_path / "deny.parquet")
        exclude = given.get(form, tmp_path / "deny.parquet")
        every, nothing = set(range(1, ITEMS + 1)), [set[int]()] * 10
        found = model.predict(table, k=25, exclude=exclude)["item_id"].to_pylist()
        assert found == plain(model, table, 25, every - set(items), nothing)
        found = model.predict(table, k=2, candidates=[3, 7, 8, 9], exclude=exclude)["item_id"].to_pylist()
        assert found == plain(model, table, 2, {8, 9}, nothing)
        shown = [set(row) for row in table["item_id"].to_pylist()]
        found = model.predict(table, k=25, exclude=exclude, exclude_seen=True)["item_id"].to_pylist()
        assert found == plain(model, table, 25, every - set(items), shown)

    def test_deny_lists_that_do_not_fit_are_refused(self) -> None:
        model, table, exclude = model_of_sessions(), session_table(10), [7, 22, 3, 3, 15, 29]
        with pytest.raises(ValueError, match="k is 26, but 25 items can be answers, those in exclude left"):
            model.predict(table, k=26, exclude=exclude)
        with pytest.raises(ValueError, match="exclude holds every candidate"):
            model.predict(table, k=1, candidates=[3, 7], exclude=exclude)
        with pytest.raises(ValueError, match="exclude holds item 99, but the catalogue has rows 0 to 30"):
            model.predict(table, k=1, exclude=[99])
        with pytest.raises(ValueError, match="candidates, exclude and seen are for the k best items"):
            clicks().predict(click_table(), exclude=[1])

    def test_what_was_seen_elsewhere_is_left_out_beside_what_the_session_shows(self) -> None:
        model, table = model_of_sessions(), session_table(10)
        seen = pa.table({"user_id": ["user 3", "user 3", "nobody", "user 8"], "item_id": [5, 6, 9, 11]})
        shown = [set(items) for items in table["item_id"].to_pylist()]
        shown[3] |= {5, 6}
        shown[8] |= {11}
        found = model.predict(table, k=29, seen=seen, exclude_seen=True, keys=["user_id"], batch_size=4)
        assert found["item_id"].to_pylist() == plain(model, table, 29, set(range(1, ITEMS + 1)), shown)
        few = model.predict(
            table, k=3, candidates=[5, 6, 11, 12], seen=seen, exclude_seen=True, keys=["user_id"]
        )
        assert few["item_id"].to_pylist() == plain(model, table, 3, {5, 6, 11, 12}, shown)
        assert few["score"].to_pylist()[3][-1] == -float("inf")

    def test_several_targets_take_k_and_leave_out_what_was_seen(self) -> None:
        model, table = multi_task(), session_table(8)
        found = model.predict(table, k=29, exclude_seen=True)
        for items, shown in zip(found["item_id"].to_pylist(), table["item_id"].to_pylist(), strict=True):
            rest = [item for item in items if item is not None]
            assert not set(rest) & set(shown)
            assert len(rest) == min(29, ITEMS - len(set(shown)))
        assert len(model.predict(table)["item_id"][0]) == 3
        with pytest.raises(ValueError, match="exclude_seen is True, but BinaryOutput gives scores"):
            clicks().predict(click_table(), exclude_seen=True)


class TestFiles:
    def test_the_files_hold_what_predict_gives(self, folder: Path, tmp_path: Path) -> None:
        model = model_of_sessions()
        seen = pa.table({"user_id": ["user 3", "user 20"], "item_id": [[5, 6], [7]]})
        options: dict[str, Any] = {"k": 6, "seen": seen, "exclude_seen": True, "keys": ["user_id"]}
        out = model.predict_to_parquet(folder, tmp_path / "out", batch_size=5, **options)
        assert sorted(p.name for p in out.iterdir()) == [f"day-{n}.parquet" for n in range(3)]
        for number in range(3):
            wanted = model.predict(folder / f"day-{number}.parquet", batch_size=5, **options)
            assert pq.read_table(out / f"day-{number}.parquet").equals(wanted)

    def test_other_targets_and_rows_without_keys(self, tmp_path: Path) -> None:
        out = clicks().predict_to_parquet(click_table(), tmp_path / "clicks", keys=[])
        assert pq.read_table(out / "answers.parquet").equals(clicks().predict(click_table(), keys=[]))
        out = multi_task().predict_to_parquet(session_table(), tmp_path / "tasks", k=4)
        assert pq.read_table(out / "answers.parquet").equals(multi_task().predict(session_table(), k=4))

    def test_a_loader_is_read_in_order_with_its_cut(self, folder: Path, tmp_path: Path) -> None:
        model = model_of_sessions()
        options: dict[str, Any] = {"batch_size": 4, "max_sequence_length": 3}
        shuffled = mm.ParquetLoader(folder, session_schema(), shuffle=True, bucket=2, **options)
        out = model.predict_to_parquet(shuffled, tmp_path / "out", k=3)
        found = pa.concat_tables([pq.read_table(out / f"day-{n}.parquet") for n in range(3)])
        wanted = model.predict(mm.ParquetLoader(folder, session_schema(), **options), k=3)
        assert found["item_id"].combine_chunks().equals(wanted["item_id"].combine_chunks())

    def test_a_file_without_rows_has_no_answers(self, folder: Path, tmp_path: Path) -> None:
        pq.write_table(session_table(4).slice(0, 0), folder / "day-1.parquet")
        out = model_of_sessions().predict_to_parquet(folder, tmp_path / "out", k=2)
        assert sorted(p.name for p in out.iterdir()) == ["day-0.parquet", "day-2.parquet"]
        assert pq.read_table(out).num_rows == 30 + 17

    def test_files_of_one_name_are_told_apart(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "more").mkdir()
        pq.write_table(session_table(4), tmp_path / "more" / "day-0.parquet")
        paths = [folder / "day-0.parquet", tmp_path / "more" / "day-0.parquet"]
        out = model_of_sessions().predict_to_parquet(paths, tmp_path / "out", k=2)
        assert sorted(p.name for p in out.iterdir()) == ["00000-day-0.parquet", "00001-day-0.parquet"]

    def test_what_was_stopped_goes_on(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model, out, asked = model_of_sessions(), tmp_path / "out", 0
        answered = predicting._answered

        def stops(*args: Any) -> Any:
            nonlocal asked
            for pair in answered(*args):
                asked += 1
                if asked == 8:
                    raise KeyboardInterrupt
                yield pair

        monkeypatch.setattr(predicting, "_answered", stops)
        with pytest.raises(KeyboardInterrupt):
            model.predict_to_parquet(folder, out, k=2, batch_size=5)
        # Six batches are the first file, the second was begun.
        assert [p.name for p in out.iterdir()] == ["day-0.parquet"]
        before = (out / "day-0.parquet").stat().st_mtime_ns
        model.predict_to_parquet(folder, out, k=2, batch_size=5)
        assert asked == 8 + 6
        assert (out / "day-0.parquet").stat().st_mtime_ns == before
        wanted = model.predict(folder, k=2)["item_id"].to_pylist()
        assert pq.read_table(out)["item_id"].to_pylist() == wanted

    def test_other_answers_are_not_taken_for_these(self, folder: Path, tmp_path: Path) -> None:
        model, out = model_of_sessions(), tmp_path / "out"
        model.predict_to_parquet(folder, out, k=2, candidates=[1, 2, 3])
        model.predict_to_parquet(folder, out, k=2, candidates=[1, 2, 3])
        more = {"k": 2, "candidates": [1, 2, 3], "exclude": [3]}
        for options in ({"k": 3, "candidates": [1, 2, 3]}, {"k": 2, "candidates": [1, 2, 4]}, {"k": 2}, more):
            with pytest.raises(FileExistsError, match=r"day-0.parquet holds something else, or answers of"):
                model.predict_to_parquet(folder, out, **options)  # type: ignore[arg-type]
        with torch.no_grad():
            next(model.parameters())[3] += 1
        with pytest.raises(FileExistsError, match="pass overwrite=True"):
            model.predict_to_parquet(folder, out, k=2, candidates=[1, 2, 3])
        model.predict_to_parquet(folder, out, k=2, overwrite=True)
        assert pq.read_table(out)["item_id"].to_pylist() == model.predict(folder, k=2)["item_id"].to_pylist()
        (out / "day-1.parquet").write_text("no parquet")
        with pytest.raises(FileExistsError, match=r"day-1\.parquet holds something else"):
            model.predict_to_parquet(folder, out, k=2)

    def test_a_bar_counts_the_rows(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model_of_sessions().predict_to_parquet(folder, tmp_path / "a", k=2)
        assert capsys.readouterr().err == ""
        model_of_sessions().predict_to_parquet(folder, tmp_path / "b", k=2, progress=True)
        assert "56/56" in capsys.readouterr().err


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are read by row group, and answers are written when some hundred rows have come together."""
    model = clicks()
    pq.write_table(click_table(4000), tmp_path / "clicks.parquet", row_group_size=100)
    read = predicting.ParquetLoader.keys
    monkeypatch.setattr("merlin_models_torch.retrieval.writing._ROWS", 250)

    def largest(self: Any, *args: Any) -> Any:
        raise AssertionError("all keys are read at once")

    monkeypatch.setattr(predicting.ParquetLoader, "keys", largest)
    out = model.predict_to_parquet(tmp_path / "clicks.parquet", tmp_path / "out", batch_size=64, keys=["age"])
    monkeypatch.setattr(predicting.ParquetLoader, "keys", read)
    file = pq.ParquetFile(out / "clicks.parquet")
    most = max(file.metadata.row_group(n).num_rows for n in range(file.num_row_groups))
    assert most < 250 + 64
    assert file.read().equals(model.predict(click_table(4000), keys=["age"], batch_size=64))
