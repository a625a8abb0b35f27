"""Bad input ends in one error that names file, column, what was got and the fix, before any batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from merlin_models_torch.data import DataError, ParquetLoader
from merlin_models_torch.schema import ColumnSchema, Schema, Tags

Write = Callable[..., str]


def one(*tags: Any, name: str = "item_id", largest: int | None = None, **arguments: Any) -> Schema:
    properties = {} if largest is None else {"domain": {"min": 0, "max": largest}}
    return Schema([ColumnSchema(name, tags, properties, **arguments)])


ITEMS = one(Tags.ITEM_ID, Tags.CATEGORICAL, Tags.SEQUENCE, largest=9, dtype="int64", is_list=True)


def refused(source: Any, schema: Schema, text: str, **arguments: Any) -> None:
    with pytest.raises(DataError, match=text):
        ParquetLoader(source, schema, **{"batch_size": 2, **arguments})


@pytest.mark.parametrize("name", ["batch_size", "max_sequence_length", "bucket", "buffer_groups", "world"])
@pytest.mark.parametrize("value", [2.5, "2", True])
def test_what_counts_something_is_a_whole_number(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"^{name} is {value!r}, expected a whole number, such as 10"):
        ParquetLoader(pa.table({"item_id": [[1], [2]]}), ITEMS, **{"batch_size": 2, name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [0, 2**30])
def test_missing_column_names_the_file_and_what_it_has(parquet: Write, limit: int) -> None:
    good, bad = pa.table({"item_id": [[1]], "a": [1]}), pa.table({"other": [[1]], "a": [1]})
    files = [parquet(good, "good.parquet"), parquet(bad, "bad.parquet")]
    text = r"column 'item_id' of the schema is not in .*bad\.parquet, which has only \['other', 'a'\]: mend"
    refused(files, ITEMS, text, memory_limit=limit)
    twice = pa.Table.from_arrays([pa.array([[1]]), pa.array([[2]])], ["item_id", "item_id"])
    refused(twice, ITEMS, r"column 'item_id' .* is not in the table, which has it 2 times")


def test_wrong_types() -> None:
    refused(
        pa.table({"item_id": [["a"]]}),
        ITEMS,
        r"has type list<.*string>, expected numbers: encode it by a Voc",
    )
    refused(
        pa.table({"item_id": [[1.0]]}),
        ITEMS,
        r"has type list<.*double>, expected integer ids: cast it to int64",
    )
    refused(
        pa.table({"item_id": [1]}), ITEMS, r"column 'item_id' of the table has type int64, expected a list"
    )
    scalar = ColumnSchema("age", [Tags.CONTINUOUS], dims=(None,))
    refused(
        pa.table({"age": [[1]]}), Schema([scalar]), r"column 'age' .* expected one value a row.*is_list=True"
    )
    refused(
        pa.table({"age": [{"a": 1}]}), Schema([scalar]), r"column 'age' .* has type struct.*expected numbers"
    )


def test_files_of_different_kinds(parquet: Write) -> None:
    files = [parquet(pa.table({"x": [1.0]}), "a.parquet"), parquet(pa.table({"x": [[1.0]]}), "b.parquet")]
    refused(
        files, one(name="x"), r"column 'x' is a scalar in .*a\.parquet and a list in .*b\.parquet: write all"
    )


def test_ids_outside_the_domain_in_memory(parquet: Write) -> None:
    table = pa.table({"item_id": [[1], [2, 3], [9, 10, 11], [12]]})
    text = r"column 'item_id' of .* has id 10, expected 0 to 9 \(3 such values, the first in row 2\): encode"
    refused(table, ITEMS, text)
    refused(parquet(table), ITEMS, text)
    refused(pa.table({"item_id": [[1], [-2]]}), ITEMS, r"has id -2, expected 0 to 9 \(1 such values.*row 1\)")
    unknown_domain = one(Tags.CATEGORICAL, name="x")
    refused(pa.table({"x": [5, -1]}), unknown_domain, r"has id -1, expected 0 or more \(1 .* row 1\)")


def test_ids_outside_the_domain_by_parquet_statistics(parquet: Write) -> None:
    file = parquet(pa.table({"item_id": [[1], [2], [3], [10]]}), row_group_size=2)
    text = r"column 'item_id' of .*rows\.parquet, row group 1, has id 10, expected 0 to 9: encode"
    refused(file, ITEMS, text, memory_limit=0)


def test_ids_outside_the_domain_while_streaming_without_statistics(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(
        pa.table({"item_id": [[1], [2], [3], [10]]}), path, row_group_size=2, write_statistics=False
    )
    loader = ParquetLoader(path, ITEMS, batch_size=2, memory_limit=0)
    batches = iter(loader)
    next(batches)
    with pytest.raises(DataError, match=r"has id 10, expected 0 to 9 \(1 such values, the first in row 3\)"):
        next(batches)


def test_continuous_columns_may_leave_the_domain_but_are_finite() -> None:
    column = one(Tags.CONTINUOUS, name="x", largest=3, dtype="int64")
    batch = next(iter(ParquetLoader(pa.table({"x": [5, -1]}), column, batch_size=2)))
    assert batch["x"].tolist() == [5, -1]
    table = pa.table({"x": pa.array([[1.0], [2.0, float("nan")]])})
    refused(table, one(Tags.CONTINUOUS, name="x"), r"column 'x' .* has 1 values that are not finite .* row 1")


def test_a_domain_may_reach_below_zero_where_nothing_is_looked_up() -> None:
    domain = {"domain": {"min": -5, "max": 5}}
    column = Schema([ColumnSchema("x", [Tags.REGRESSION], domain, "int64")])
    batch = next(iter(ParquetLoader(pa.table({"x": [5, -5]}), column, batch_size=2, targets=())))
    assert batch["x"].tolist() == [5, -5]
    refused(pa.table({"x": [5, -6]}), column, r"column 'x' .* has id -6, expected -5 to 5")


def test_data_frames_of_mixed_types() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"item_id": [[1], "a"]}, dtype=object)
    refused(frame, ITEMS, "the data frame does not fit Arrow .*: give a column values of one type")


@pytest.mark.parametrize("limit", [0, 2**30])
def test_empty_sessions_are_counted(parquet: Write, limit: int) -> None:
    file = parquet(pa.table({"item_id": pa.array([[1], [], None], pa.list_(pa.int64()))}))
    text = (
        r"column 'item_id' of .* has 2 empty rows, the first is row 1: "
        r'leave them out of the data or by ParquetLoader\(..., empty="drop"\), or keep them by'
    )
    refused(file, ITEMS, text, memory_limit=limit)
    none = parquet(pa.table({"item_id": pa.array([[], []], pa.list_(pa.int64()))}), "none.parquet")
    refused(none, ITEMS, "every row is empty, so none is left", memory_limit=limit, empty="drop")


def test_missing_values() -> None:
    refused(
        pa.table({"x": [1, None]}), one(name="x"), r"column 'x' .* has 1 missing values, the first in row 1"
    )
    refused(
        pa.table({"item_id": [[1], [2, None]]}), ITEMS, r"'item_id' .* 1 missing values, the first in row 1"
    )


def test_sequences_of_different_lengths() -> None:
    price = ColumnSchema("price", [Tags.CONTINUOUS, Tags.SEQUENCE], is_list=True)
    table = pa.table({"item_id": [[1], [2, 3], [4]], "price": [[0.1], [0.2], [0.3, 0.4]]})
    text = (
        r"column 'price' of the table has 1 values in row 1 where 'item_id' has 2 \(2 such rows\): sequences"
    )
    refused(table, ITEMS + Schema([price]), text)
    # Labels of positions are as many; a set to predict is not.
    label = ColumnSchema("price", [Tags.TARGET, Tags.REGRESSION], dtype="float32", is_list=True)
    refused(table, ITEMS + Schema([label]), text)
    basket = pa.table({"item_id": [[1], [2, 3]], "next": [[4, 5, 6], [7]]})
    both = ITEMS + Schema(
        [ColumnSchema("next", [Tags.TARGET, Tags.CATEGORICAL], dtype="int64", is_list=True)]
    )
    assert next(iter(ParquetLoader(basket, both, batch_size=2))).targets["next"].lengths.tolist() == [3, 1]


@pytest.mark.parametrize("limit", [0, 2**30])
def test_vectors_of_different_widths_in_row_groups(parquet: Write, limit: int) -> None:
    vectors = ColumnSchema("vector", [Tags.EMBEDDING, Tags.SEQUENCE], dtype="float32", is_list=True)
    table = pa.table(
        {"item_id": [[1], [2], [3], [4]], "vector": [[[0.1]], [[0.2]], [[0.3, 0.4]], [[0.5, 0.6]]]}
    )
    path = parquet(table, row_group_size=2)
    with pytest.raises(DataError, match=r"column 'vector' .*has vectors of 1 and of 2 values: give all one"):
        for _ in ParquetLoader(path, ITEMS + Schema([vectors]), batch_size=3, memory_limit=limit):
            pass


@pytest.mark.parametrize("limit", [0, 2**30])
def test_vectors_of_different_widths_in_files(parquet: Write, limit: int) -> None:
    vectors = Schema([ColumnSchema("vector", [Tags.EMBEDDING], dtype="float32", is_list=True)])
    files = [parquet(pa.table({"vector": [[0.1] * n]}), f"{n}.parquet") for n in (2, 3)]
    with pytest.raises(DataError, match=r"column 'vector' has vectors of 2 and of 3 values: give all one"):
        list(ParquetLoader(files, vectors, batch_size=2, memory_limit=limit))


def test_no_rows(parquet: Write) -> None:
    empty = pa.table({"item_id": pa.array([], pa.list_(pa.int64()))})
    refused(empty, ITEMS, "the table holds no rows: give data with at least one row")
    refused(parquet(empty), ITEMS, r"rows\.parquet holds no rows")


@pytest.mark.parametrize("limit", [0, 2**30])
def test_damaged_files(parquet: Write, tmp_path: Path, limit: int) -> None:
    path = Path(parquet(pa.table({"item_id": [np.arange(10)] * 500}), row_group_size=50))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(
        path,
        ITEMS,
        r"rows\.parquet is no whole parquet file \(.*\): the file is truncated",
        memory_limit=limit,
    )
    path.write_bytes(b"")
    refused(path, ITEMS, r"rows\.parquet is empty \(0 bytes\): write it again", memory_limit=limit)
    path.write_bytes(whole[:4] + b"\xff" * 400 + whole[404:])
    refused(path, ITEMS, r"rows\.parquet cannot be read \(.*\): the file is truncated", memory_limit=limit)


@pytest.mark.parametrize("limit", [0, 2**30])
@pytest.mark.parametrize("kind", [Tags.CONTINUOUS, Tags.TARGET])
def test_numbers_that_32_bits_do_not_hold(kind: Tags, limit: int, parquet: Write) -> None:
    schema = ITEMS + one(kind, name="x", dtype="float32")
    path = parquet(pa.table({"item_id": [[1], [2]], "x": [3.4e38, -1e39]}))
    with pytest.raises(
        DataError, match=r"column 'x' of .* has 1 values that are too large for 32 bits, .* row 1"
    ):
        list(ParquetLoader(path, schema, batch_size=2, memory_limit=limit))


def test_no_file(tmp_path: Path, parquet: Write) -> None:
    refused(
        str(tmp_path / "day-*.parquet"), ITEMS, r"no file matches .*day-\*\.parquet: check the path \(now in"
    )
    refused(tmp_path / "gone.parquet", ITEMS, r"there is no file .*gone\.parquet: check the path")
    refused(tmp_path, ITEMS, r"folder .* holds no file \*\.parquet: name a folder that does")
    parquet(pa.table({"item_id": [[1]]}), "parts/day=1/hour=2/a.parquet")
    below = (
        r"those in its folders are named by '.*/parts/\*/\*/\*\.parquet', and pyarrow\.dataset\.dataset\('"
    )
    refused(tmp_path / "parts", ITEMS, below)
    for name in ("train", "test"):
        parquet(pa.table({"item_id": [[1]]}), f"{name}.parquet")
    refused(
        tmp_path, ITEMS, r"holds \['test.parquet', 'train.parquet'\], which are not to be mixed: name one"
    )
    refused(7, ITEMS, "rows cannot be read from a int: give a parquet path")


def test_schema_without_inputs_and_foreign_targets() -> None:
    table = pa.table({"user_id": ["a"]})
    refused(table, one(Tags.USER_ID, name="user_id"), r"no column to read, only row keys \['user_id'\]")
    refused(table, ITEMS, r"target 'click' is not in the schema, which has \['item_id'\]", targets="click")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"batch_size": 0}, "batch_size is 0, expected at least 1"),
        ({"max_sequence_length": 0}, "max_sequence_length is 0, expected at least 1"),
        ({"bucket": 0}, "bucket is 0, expected at least 1"),
        ({"keep": "last"}, r"keep is 'last', expected one of \['latest', 'oldest'\]"),
        ({"empty": "skip"}, r"empty is 'skip', expected one of"),
        ({"seed": -1}, "seed is -1, expected 0 or more"),
        ({"rank": 2, "world": 2}, "rank is 2 and world 2: give both"),
        ({"rank": 0}, "rank is 0 and world None: give both"),
        ({"drop_last": True, "batch_size": 9}, "drop_last leaves no batch: 2 rows do not fill batch_size 9"),
    ],
)
def test_arguments(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ParquetLoader(pa.table({"item_id": [[1], [2]]}), ITEMS, **{"batch_size": 2, **arguments})


def test_bucket_without_lists() -> None:
    with pytest.raises(ValueError, match="bucket sorts rows by length, but no column is a list"):
        ParquetLoader(pa.table({"x": [1]}), one(name="x"), batch_size=1, bucket=2)
