"""Schemas of data frames: those of the same rows in Arrow."""

import re
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from merlin_models_torch.schema import Schema, SchemaError, Tags

ROWS = {
    "user_id": [3, 4, 9],
    "item_id": [[3, 4, 5], [7], [2, 2]],
    "price": [[0.1, 0.2, 0.3], [0.4], [0.5, 0.6]],
    "age": [0.5, 0.25, 0.75],
    "clicked": [0, 1, 1],
}


@pytest.fixture
def expected() -> Schema:
    return Schema.from_arrow(pa.table(ROWS), targets="clicked")


def test_a_pandas_frame_has_the_schema_of_its_rows(expected: Schema) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ROWS, index=[10, 11, 12])
    schema = Schema.infer(frame, targets="clicked")
    assert schema == expected
    assert schema.cardinality("item_id") == 8
    assert schema.select(Tags.TARGET).column_names == ["clicked"]


def test_a_polars_frame_has_the_schema_of_its_rows(expected: Schema) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(ROWS)
    assert Schema.infer(frame, targets="clicked") == expected
    assert Schema.infer(frame.lazy(), targets="clicked") == expected


def test_arrow_and_parquet_go_the_same_way(expected: Schema, tmp_path: Path) -> None:
    table = pa.table(ROWS)
    pq.write_table(table, tmp_path / "rows.parquet")
    for source in (table, tmp_path / "rows.parquet", [str(tmp_path / "rows.parquet")]):
        assert Schema.infer(source, targets="clicked") == expected
    # Without rows nothing is known of the values: no domains.
    assert Schema.infer(table.schema)["user_id"].int_domain is None


def test_a_frame_of_another_library_comes_by_the_arrow_stream(expected: Schema) -> None:
    class Frame:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return pa.table(ROWS).__arrow_c_stream__(requested_schema)

    assert Schema.infer(Frame(), targets="clicked") == expected


def test_roles_are_those_of_from_parquet() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"film": [2, 3], "who": [1, 2], "when": [5, 6]})
    schema = Schema.infer(frame, item_id="film", user_id="who", tags={"when": Tags.TIME})
    assert schema.select(Tags.ITEM_ID).column_names == ["film"]
    assert schema.select(Tags.USER_ID).column_names == ["who"]
    assert Tags.CATEGORICAL not in schema["when"].tags


def test_columns_without_names_and_of_several_kinds_are_named() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(SchemaError, match="a column named 0, a int: give its columns names that are strings"):
        Schema.infer(pandas.DataFrame([[1, 2]]))
    with pytest.raises(SchemaError, match="give each column values of one type"):
        Schema.infer(pandas.DataFrame({"a": [1, "b", [2]]}))


def test_strings_are_refused_with_the_fix() -> None:
    for library in ("pandas", "polars"):
        frame = pytest.importorskip(library).DataFrame({"item_id": ["a", "b"]})
        with pytest.raises(SchemaError, match="column 'item_id' holds strings"):
            Schema.infer(frame)


def test_what_holds_no_rows_is_refused() -> None:
    with pytest.raises(TypeError, match="not from int: convert it"):
        Schema.infer(3)


def test_a_notebook_shows_whole_numbers_and_no_gaps(expected: Schema) -> None:
    pytest.importorskip("pandas")
    shown = expected._repr_html_()
    assert shown is not None
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in shown.split("<tr>")]
    assert {row[0]: row[6] for row in rows if row} == dict(zip(ROWS, ["9", "7", "", "", "1"], strict=True))


def test_without_pandas_a_notebook_shows_the_text(expected: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setattr("merlin_models_torch.schema.schema.find_spec", lambda name: None)
    assert expected._repr_html_() is None
    with pytest.raises(ImportError, match="to_pandas needs pandas"):
        expected.to_pandas()
