"""What is read equals what pyarrow reads, and what takes too much memory is refused before it is taken."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from merlin_models_torch.parquet import ParquetInput
from tests.unit.parquet.test_footer import OPTIONS, table, written
from tests.unit.parquet.thrift_writer import integer


class Refused(ValueError):
    """What is raised here."""


def opened(path: Path, limit: int = 2**32) -> ParquetInput:
    return ParquetInput(path, error=Refused, limit=limit)


def alike(rows: int, value: object, *, kind: pa.DataType | None = None) -> pa.Array:
    """So many equal values, without taking room for them."""
    zeros = pa.array(np.zeros(rows, np.int32))
    return pa.DictionaryArray.from_arrays(zeros, pa.array([value], kind))


@pytest.mark.parametrize("how", [*OPTIONS, "polars"])
def test_all_columns_are_what_pyarrow_reads(how: str, tmp_path: Path) -> None:
    path = written(tmp_path / "f.parquet", how)
    file = opened(path)
    assert file.read().equals(pq.read_table(path))
    some = ["text", "int8 list", "text.with dot", "struct"]
    # pyarrow takes a dot for the inside of a column.
    plain = [name for name in some if "." not in name]
    assert file.read(plain, 0).equals(pq.ParquetFile(path).read_row_group(0, plain))
    assert file.read(some).column("text").equals(pq.read_table(path).column("text"))
    batches = pa.Table.from_batches(list(file.batches(plain, 50)))
    assert batches.equals(pq.read_table(path, columns=plain))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_texts_may_come_as_positions(kind: pa.DataType, tmp_path: Path) -> None:
    values = pa.array(["a", None, "b", "a"] * 9).cast(kind)
    pq.write_table(pa.table({"text": values, "n": range(36)}), tmp_path / "f.parquet", row_group_size=7)
    file = opened(tmp_path / "f.parquet")
    assert file.read().column("text").combine_chunks() == pa.chunked_array([values]).combine_chunks()
    found = file.read(["text", "n"], encoded=True)
    assert found.column("text").cast(kind).equals(pa.chunked_array([values]))
    short = kind in (pa.string(), pa.binary())
    assert pa.types.is_dictionary(found.schema.field("text").type) == short
    assert file.read(["text"], 5, encoded=True).num_rows == 1


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_texts_that_are_no_positions_are_read(encoding: str, kind: pa.DataType, tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    texts = pa.array([None if number % 9 == 4 else f"row {number}" for number in range(99)]).cast(kind)
    data = pa.table({"a": range(99), "text": texts, "b": ["x"] * 99, "also": texts})
    pq.write_table(
        data,
        path,
        row_group_size=40,
        use_dictionary=["b"],
        column_encoding={"text": encoding, "also": encoding},
    )
    # With so little room, text by text.
    for file in (opened(path), opened(path, 1)):
        assert file.read().equals(data)
        assert file.read(encoded=True).column("text").equals(data["text"])
        assert file.read(["also", "b", "text"], 1).equals(data.select(["also", "b", "text"]).slice(40, 40))
        assert file.read(["text"], encoded=True).equals(data.select(["text"]))


def test_texts_come_as_positions_where_most_of_them_repeat(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    # Writers give up a dictionary that has become too large.
    for rows, positions in ((9, True), (900, False)):
        data = pa.table({"text": [f"row {number}" for number in range(rows)] * 2})
        pq.write_table(data, path, dictionary_pagesize_limit=200, write_batch_size=10, data_page_size=100)
        found = opened(path).read(encoded=True)
        assert pa.types.is_dictionary(found.schema.field("text").type) == positions
        assert found.column("text").cast(pa.string()).equals(data["text"])


def test_texts_that_share_all_they_hold_are_refused_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.parquet"
    data = pa.table({"a": ["x" * 5_000] * 20_000})
    pq.write_table(data, path, use_dictionary=False, column_encoding={"a": "DELTA_BYTE_ARRAY"})
    assert path.stat().st_size < 10_000
    monkeypatch.setattr("merlin_models_torch.parquet.file._TEXT", 2**20)
    said = r"'a' of .*f\.parquet unpacks [\d,]+ bytes to ([\d,]+) in memory \(the first ([\d,]+) texts\)"
    with pytest.raises(Refused, match=said) as caught:
        opened(path, 2**25).read()
    size = int(caught.value.args[0].partition(" bytes to ")[2].partition(" in ")[0].replace(",", ""))
    assert 2**25 < size < 1.6 * 2**25
    assert opened(path, 2**27).read().equals(data)


def test_columns_of_other_lengths_and_texts_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"a": ["word", "word", "else"], "b": range(3)}), path, compression="none")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"word", b"wo\xffd", 1))
    for encoded in (False, True):
        with pytest.raises(Refused, match=r"f\.parquet cannot be read \(.*Invalid UTF8"):
            opened(path).read(encoded=encoded)
    file = opened(path)
    short = pa.table({"b": range(2)})
    with pytest.raises(Refused, match=r"cannot be read \(column 'b' has 2 rows instead of 3\): the file is"):
        file._check_rows(short, None)


def test_equal_values_that_take_no_room_are_refused_and_can_be_allowed(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"a": alike(1_000_000, 7), "b": alike(1_000_000, 1.5)}), path, compression="zstd")
    said = (
        r"column 'b' of .*f\.parquet unpacks [\d,]+ bytes to 8,000,000 in memory \(1,000,000 values\), "
        r"expected at most 1,000,000 where it is more than 1,000 times as many: .*fewer rows in a row group, "
        r"give the table that pyarrow\.parquet\.read_table reads"
    )
    with pytest.raises(Refused, match=said):
        opened(path, 1_000_000).read(["b", "a"])
    with pytest.raises(Refused, match=r"f\.parquet, row group 0, unpacks"):
        opened(path, 1_000_000).read(["a"], 0)
    with pytest.raises(Refused, match=r"f\.parquet, row group 0, unpacks"):
        list(opened(path, 1_000_000).batches(["a"], 10))
    assert opened(path, 8_000_000).read(["a"]).num_rows == 1_000_000


def test_many_row_groups_are_refused_together_and_read_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    data = pa.table({"a": pa.ListArray.from_arrays([0, 200_000], alike(200_000, 7))})
    with pq.ParquetWriter(path, data.schema, compression="zstd") as writer:
        for _ in range(5):
            writer.write_table(data)
    file = opened(path, 2_000_000)
    with pytest.raises(Refused, match=r"unpacks [\d,]+ bytes to 8,000,000"):
        file.read()
    assert [file.read(None, group).num_rows for group in range(5)] == [1] * 5


def test_data_that_takes_its_room_has_no_limit(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"a": np.random.default_rng(0).random(1000)}), path)
    assert opened(path, 10).read().num_rows == 1000


def test_long_texts_that_repeat_are_refused_before_they_are_made(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(
        pa.table({"a": alike(20_000, "x" * 5_000)}), path, row_group_size=5_000, store_schema=False
    )
    assert path.stat().st_size < 5_000
    with pytest.raises(
        Refused, match=r"'a' of .* to 100,000,000 in memory \(20,000 texts\)|to 100,320,000 in"
    ):
        opened(path, 2**25).read()
    assert opened(path, 2**25).read(["a"], 1).column("a")[0].as_py() == "x" * 5_000


def test_lists_that_hold_more_than_the_footer_says_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    data = pa.table({"a": pa.ListArray.from_arrays([0, 1_000_000], alike(1_000_000, 7))})
    pq.write_table(data, path, compression="zstd")
    content, told = path.read_bytes(), integer(1_000_000)
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    fewer = bytes([10 << 1 | 128, *[128] * (len(told) - 2), 0])
    path.write_bytes(content[:start] + content[start:].replace(told, fewer))
    assert pq.read_metadata(path).row_group(0).column(0).num_values == 10
    with pytest.raises(Refused, match=r"cannot be read \(column 'a' has 1,000,000 values instead of 10\)"):
        opened(path).read()


def test_texts_too_long_for_one_piece_are_read_in_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.parquet"
    data = pa.table({"a": [f"row {number}" for number in range(99)]})
    pq.write_table(data, path)
    monkeypatch.setattr("merlin_models_torch.parquet.file._TEXT", 100)
    assert opened(path).read().equals(data)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    with pytest.raises(Refused, match=r"f\.parquet is no whole parquet file"):
        opened(path)
    path.write_bytes(b"")
    with pytest.raises(Refused, match=r"f\.parquet is empty \(0 bytes\)"):
        opened(path)
    pq.write_table(table(9), path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(Refused, match=r"f\.parquet is no whole parquet file"):
        opened(path)
