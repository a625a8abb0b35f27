"""What the footer says equals what pyarrow says of it, for files of two writers; false ones are refused."""

import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from merlin_models_torch.parquet.footer import read_footer, read_pages
from merlin_models_torch.parquet.thrift import ThriftError
from tests.unit.parquet.thrift_writer import BINARY, I64, LIST, STRUCT, binary, integer, many, struct

INTEGERS = (
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
)


def table(rows: int = 300, *, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for kind in INTEGERS:
        info = np.iinfo(str(kind))
        values = rng.integers(info.min, info.max, rows, dtype=str(kind), endpoint=True)
        columns[str(kind)] = pa.array(values, kind, mask=rng.random(rows) < 0.2)
        columns[f"{kind} alike"] = pa.array([3] * rows, kind)
        columns[f"{kind} missing"] = pa.array([None] * rows, kind)
        lengths = rng.integers(0, 5, rows)
        lists = np.split(
            rng.integers(info.min, info.max, lengths.sum(), dtype=str(kind)), lengths.cumsum()[:-1]
        )
        columns[f"{kind} list"] = pa.array([part.tolist() for part in lists], pa.list_(kind))
        columns[f"{kind} lists"] = pa.array([[part.tolist()] * 2 for part in lists], pa.list_(pa.list_(kind)))
    columns["text.with dot"] = [f"row {number % 40}" * (number % 7) for number in range(rows)]
    columns["text"] = [None, *map(str, range(rows - 1))]
    columns["number"] = rng.random(rows)
    columns["float"] = pa.array(rng.random(rows), pa.float32())
    columns["bool"] = rng.random(rows) < 0.5
    columns["day"] = [datetime.date(2024, 1, 1)] * rows
    columns["struct"] = [{"a": number, "b": "x"} for number in range(rows)]
    columns["texts"] = [["a"] * (number % 4) for number in range(rows)]
    columns["fixed"] = pa.array([b"abcd"] * rows, pa.binary(4))
    return pa.table(columns)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "row groups": {"row_group_size": 37},
    "version 1": {"version": "1.0", "use_dictionary": False},
    "pages of version 2": {"data_page_version": "2.0", "data_page_size": 64},
    "small pages": {"data_page_size": 64, "compression": "gzip", "write_page_index": True},
    "no statistics": {"write_statistics": False},
    "checksums": {"write_page_checksum": True, "compression": "none", "store_schema": False},
}


def written(path: Path, how: str) -> Path:
    if how == "polars":
        polars = pytest.importorskip("polars")
        frame = polars.from_arrow(table())
        frame.write_parquet(path, row_group_size=90)
    else:
        pq.write_table(table(), path, **OPTIONS[how])
    return path


@pytest.mark.parametrize("how", [*OPTIONS, "polars"])
def test_it_equals_what_pyarrow_says(how: str, tmp_path: Path) -> None:
    path = written(tmp_path / "f.parquet", how)
    metadata = pq.read_metadata(path)
    widths = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "FLOAT": 4, "DOUBLE": 8}
    with path.open("rb") as file:
        groups = read_footer(file)
        assert len(groups) == metadata.num_row_groups
        compared = 0
        for number, chunks in enumerate(groups):
            assert len(chunks) == metadata.num_columns
            for place, chunk in enumerate(chunks):
                said = metadata.row_group(number).column(place)
                assert ".".join(chunk.path) == said.path_in_schema
                assert (chunk.values, chunk.packed) == (said.num_values, said.total_compressed_size)
                assert chunk.is_text == (said.physical_type == "BYTE_ARRAY")
                assert chunk.unpacked >= chunk.values * widths.get(said.physical_type, 16)
                assert read_pages(file, chunk).values == chunk.values
                statistics = said.statistics
                if statistics is None:
                    assert chunk.nulls is None
                    assert chunk.bounds(signed=True) is None
                    continue
                assert chunk.nulls == (statistics.null_count if statistics.has_null_count else None)
                kind = chunk.path[0].split()[0]
                if "int" in kind:
                    ends = (statistics.min, statistics.max) if statistics.has_min_max else None
                    assert chunk.bounds(signed=kind[0] == "i") == ends
                    compared += ends is not None
        assert compared > 24 or how == "no statistics"


def test_texts_are_as_long_as_the_file_says(tmp_path: Path) -> None:
    path = written(tmp_path / "f.parquet", "plain")
    with path.open("rb") as file:
        (chunks,) = read_footer(file)
    (text,) = (chunk for chunk in chunks if chunk.path == ("text.with dot",))
    whole = sum(len(value) for value in table()["text.with dot"].to_pylist())
    assert text.unpacked in (300 * 16 + whole, 300 * 16)


def test_ends_of_old_writers_are_those_of_signed_numbers() -> None:
    old = struct(
        (1, BINARY, binary((9).to_bytes(4, "little"))),
        (2, BINARY, binary((-3).to_bytes(4, "little", signed=True))),
    )
    (((chunk,),),) = (read_footer(BytesIO(file_of(column(statistics=old)))),)
    assert chunk.bounds(signed=True) == (-3, 9)
    assert chunk.bounds(signed=False) is None


def column(
    *, kind: int = 1, values: int = 5, packed: int = 40, path: bytes = b"a", statistics: bytes = b"\0"
) -> bytes:
    """A column chunk."""
    return struct(
        (
            3,
            STRUCT,
            struct(
                (1, I64, integer(kind)),
                (2, LIST, many(I64, [integer(0)])),
                (3, LIST, many(BINARY, [binary(path)])),
                (5, I64, integer(values)),
                (7, I64, integer(packed)),
                (9, I64, integer(4)),
                (12, STRUCT, statistics),
            ),
        )
    )


def file_of(*columns: bytes, length: int | None = None) -> bytes:
    """A file that is a footer of one row group."""
    footer = struct((4, LIST, many(STRUCT, [struct((1, LIST, many(STRUCT, columns)))])))
    length = len(footer) if length is None else length
    return b"PAR1" + footer + length.to_bytes(4, "little") + b"PAR1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 bytes of footer in 0 bytes that end with b''"),
        (b"PAR1", "in 4 bytes"),
        (file_of(column(), length=2**32 - 1), "4294967295 bytes of footer in"),
        (file_of(column())[:-1] + b"E", "that end with b'PARE'"),
        (file_of(column(), length=0), "it ends within a value"),
        (b"PAR1" + struct() + b"\1\0\0\0PAR1", "a NoneType stands where a list was expected"),
        (file_of(column(kind=8)), "type 8"),
        (file_of(column(kind=-1)), "type -1"),
        (file_of(column(values=-1)), "None values in 40 bytes from byte 4"),
        (file_of(column(packed=-(2**63))), "5 values in None bytes"),
        (file_of(struct()), "a NoneType stands where fields were expected"),
        (file_of(struct((3, STRUCT, struct()))), "a column chunk has name None"),
        (b"PAR1" + struct((4, I64, integer(1))) + b"\3\0\0\0PAR1", "a int stands where a list"),
    ],
)
def test_a_footer_that_is_none_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ThriftError, match=said):
        read_footer(BytesIO(content))


def page(values: int, size: int, *, kind: int = 5) -> bytes:
    """A page of a chunk: its header, and content of so many bytes."""
    return struct(
        (2, I64, integer(7)), (3, I64, integer(size)), (kind, STRUCT, struct((1, I64, integer(values))))
    ) + b"x" * min(max(size, 0), 50)


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        (page(5, 10), 5),
        (page(9, 10, kind=7) + page(2, 4) + page(3, 5, kind=8), 5),
        (page(2**31 - 1, 10), 2**31 - 1),
        (page(4, 10), "it ends within a value"),
        (page(-4, 10), r"values in 10 bytes"),
        (page(4, -10), r"values in None bytes"),
        (page(4, 2**40)[:50], "it ends within a value"),
        (struct((1, BINARY, b"\xff\xff\xff\xff\x07")), "bytes begin at byte"),
    ],
)
def test_values_are_counted_by_the_pages(pages: bytes, said: Any) -> None:
    (((chunk,),),) = (read_footer(BytesIO(file_of(column()))),)
    file = BytesIO(b"PAR1" + pages)
    if isinstance(said, int):
        assert read_pages(file, chunk).values == said
    else:
        with pytest.raises(ThriftError, match=said):
            read_pages(file, chunk)
