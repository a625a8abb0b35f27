"""What is seen in data, and errors of files."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merlin_models_torch.schema import Schema, SchemaError
from merlin_models_torch.schema.facts import Facts, facts_of, parquet_files, parquet_schema, scan_files

ROWS = st.lists(st.none() | st.lists(st.none() | st.integers(-9, 9), max_size=4), min_size=1, max_size=9)


@given(ROWS, st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_facts_of_lists_by_definition_and_in_parts(rows: list[list[int | None] | None], cut: int) -> None:
    array = pa.array(rows, pa.list_(pa.int64()))
    lengths = [len(row or []) for row in rows]
    values = [value for row in rows for value in row or [] if value is not None]
    expected = Facts(min(values, default=None), max(values, default=None), min(lengths), max(lengths))
    assert facts_of(array) == expected
    assert facts_of(array[:cut]).merged(facts_of(array[cut:])) == expected


def test_fixed_size_and_nested_lists() -> None:
    assert facts_of(pa.array([[5, 6], None], pa.list_(pa.int8(), 2))) == Facts(5, 6, 2, 2)
    assert facts_of(pa.array([[[1], [2, 3]], []])) == Facts(1, 3, 0, 2)


def test_floats_and_strings_have_no_smallest_value() -> None:
    assert facts_of(pa.array([0.5])) == facts_of(pa.array(["x"])) == Facts()


@pytest.mark.parametrize("options", [{}, {"row_group_size": 2}, {"write_statistics": False}])
def test_statistics_and_scanning_agree(tmp_path: Path, options: dict[str, int | bool]) -> None:
    table = pa.table(
        {
            "a": pa.array([None, None, 3, 9, None], pa.int32()),
            "b": pa.array([2**63, 1, 1, 1, 1], pa.uint64()),
            "c": [[1], [], None, [5, 7], [2]],
            "d": [True, False, None, True, True],
        }
    )
    file = tmp_path / "a.parquet"
    pq.write_table(table, file, **options)
    assert scan_files([file], table.schema) == {
        "a": Facts(3, 9),
        "b": Facts(1, 2**63),
        "c": Facts(1, 7, 0, 2),
        "d": Facts(0, 1),
    }


def write(file: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), file)
    return file


def test_truncated_files_are_named(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", a=[[1, 2]] * 100)
    whole = file.read_bytes()
    for content in (b"", whole[:50], whole[:-1], whole[:-200]):
        file.write_bytes(content)
        with pytest.raises(
            SchemaError, match=r"a.parquet is (no whole parquet file .*|empty .*): write it again"
        ):
            Schema.from_parquet(file)


def test_damaged_pages_are_named(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", a=[[number, number * 7] for number in range(500)])
    content = bytearray(file.read_bytes())
    content[4:200] = bytes(196)
    file.write_bytes(content)
    with pytest.raises(SchemaError, match=r"a.parquet cannot be read .*: write it again"):
        Schema.from_parquet(file)


def test_files_that_differ_are_named(tmp_path: Path) -> None:
    files = [write(tmp_path / "0.parquet", a=[1], b=[2]), write(tmp_path / "1.parquet", a=[1], b=[0.5])]
    with pytest.raises(
        SchemaError, match=r"column 'b' is int64 in .*0.parquet and double in .*1.parquet: write all"
    ):
        parquet_schema(files)
    with pytest.raises(SchemaError, match=r"column 'b' is int64 in .*0.parquet and missing in .*2.parquet"):
        parquet_schema([files[0], write(tmp_path / "2.parquet", a=[1])])


def test_files_without_rows_are_named(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", a=pa.array([], pa.int64()))
    with pytest.raises(
        SchemaError, match=r"a.parquet \(with 1 more files\) has no rows to infer a schema from"
    ):
        Schema.from_parquet([file, file])


def test_sources_without_files(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"gone.parquet is neither a file nor a folder, and fits no files"):
        parquet_files(tmp_path / "gone.parquet")
    with pytest.raises(SchemaError, match=r"has no .*parquet file: check the path"):
        parquet_files(tmp_path)
    with pytest.raises(SchemaError, match="the list of parquet files is empty: name at least one"):
        parquet_files([])
