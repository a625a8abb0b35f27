"""Vocabularies: codes of hand-made values, round trips, damaged files."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from merlin_models_torch.data import DataError, Vocabulary

DAY = datetime.date(2024, 1, 1)


def test_codes_begin_at_two_after_padding_and_unknown() -> None:
    vocabulary = Vocabulary(pa.array(["b", "a"]))
    assert vocabulary.encode(["a", "c", None, "b"]).tolist() == [3, 1, 0, 2]
    assert vocabulary.encode(["a"]).dtype == np.int64
    assert vocabulary.decode([0, 1, 2, 3]).to_pylist() == [None, None, "b", "a"]
    assert (len(vocabulary), vocabulary.cardinality) == (2, 4)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([7, -3, 12], pa.int64()),
        pa.array([7, 3], pa.uint8()),
        pa.array(["x", "", "ü"], pa.large_string()),
        pa.array([b"x", b"y"]),
        pa.array([1.5, 2.5]),
        pa.array([True, False]),
        pa.array([DAY, DAY + datetime.timedelta(1)]),
        pa.array([1, 2], pa.timestamp("ns", "UTC")),
        pa.array(["x", "y"]).dictionary_encode(),
    ],
    ids=lambda values: str(values.type),
)
def test_any_type_survives_encoding_and_a_file(values: pa.Array, tmp_path: Path) -> None:
    vocabulary = Vocabulary(values)
    codes = vocabulary.encode(values)
    assert codes.tolist() == list(range(2, 2 + len(values)))
    loaded = Vocabulary.load(vocabulary.save(tmp_path / "v.parquet"))
    assert loaded == vocabulary
    decoded = loaded.decode(codes)
    # Compared in Arrow: nanoseconds become Python values only where pandas is installed.
    plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    assert decoded.cast(plain.type).equals(plain)
    assert [file.name for file in tmp_path.iterdir()] == ["v.parquet"]


@pytest.mark.parametrize(
    "data",
    [
        pa.chunked_array([["b", None], [], ["z", "a"]]),
        pa.array(["b", None, "z", "a"]).dictionary_encode(),
        pa.chunked_array(
            [pa.array(["b", None]).dictionary_encode(), pa.array(["z", "a"]).dictionary_encode()]
        ),
        pa.array(["-", "b", None, "z", "a"])[1:],
        np.array(["b", None, "z", "a"], dtype=object),
    ],
)
def test_chunks_slices_and_dictionaries_encode_alike(data: object) -> None:
    assert Vocabulary(pa.array(["a", "b"])).encode(data).tolist() == [3, 0, 1, 2]


def test_numbers_of_another_width_are_found() -> None:
    assert Vocabulary(pa.array([5, 6], pa.int64())).encode(pa.array([6, 9], pa.int8())).tolist() == [3, 1]
    assert Vocabulary(pa.array([5])).encode(pa.array([], pa.null())).tolist() == []
    assert Vocabulary(pa.array([5])).encode(pa.nulls(2)).tolist() == [0, 0]


def test_fit_orders_by_frequency_then_first_occurrence() -> None:
    data = pa.chunked_array([["c", "a", None], ["b", "b", "a", "d"]])
    assert Vocabulary.fit(data).values.to_pylist() == ["a", "b", "c", "d"]
    assert Vocabulary.fit(data, min_count=2).values.to_pylist() == ["a", "b"]


def test_first_other_than_two() -> None:
    assert Vocabulary(pa.array(["a"]), first=1).encode(["a", "z"]).tolist() == [1, 0]
    assert Vocabulary(pa.array(["a"]), first=3).encode(["a", "z"]).tolist() == [3, 1]
    with pytest.raises(ValueError, match="first is 0, but code 0 is padding"):
        Vocabulary(pa.array(["a"]), first=0)


def test_extended_keeps_codes_and_adds_new_values_once() -> None:
    old = Vocabulary(pa.array(["a", "b"]))
    new = old.extended(pa.array(["c", "b", None, "d", "c"]))
    assert new.values.to_pylist() == ["a", "b", "c", "d"]
    assert old.values.to_pylist() == ["a", "b"]


def test_decode_takes_tensors_and_refuses_foreign_codes() -> None:
    vocabulary = Vocabulary(pa.array([10, 20]))
    assert vocabulary.decode(torch.tensor([[3, 1]])).to_pylist() == [20, None]
    assert vocabulary.decode(pa.array([2])).to_pylist() == [10]
    with pytest.raises(DataError, match=r"code 4 is not in the vocabulary of codes 0 to 3"):
        vocabulary.decode([2, 4])
    with pytest.raises(DataError, match=r"code -1 is not"):
        vocabulary.decode([-1])


def test_nan_is_a_missing_id() -> None:
    numbers = pa.array([2.0, float("nan"), 2.0, 1.0])
    assert Vocabulary.fit(numbers).values.to_pylist() == [2.0, 1.0]
    assert Vocabulary.fit(numbers.dictionary_encode()).values.to_pylist() == [2.0, 1.0]
    assert Vocabulary.fit(numbers).encode(numbers).tolist() == [2, 0, 2, 3]
    assert Vocabulary(pa.array([2.0])).extended(numbers).values.to_pylist() == [2.0, 1.0]


def test_a_vocabulary_of_a_list_or_a_series() -> None:
    pandas = pytest.importorskip("pandas")
    for values in (["b", "a", "b"], np.array(["b", "a", "b"]), pandas.Series(["b", None, "a", "b"])):
        assert Vocabulary.fit(values).values.to_pylist() == ["b", "a"]
        assert Vocabulary.fit(["a"]).extended(values).encode(values)[-1] == 3


def test_values_are_distinct_flat_and_present() -> None:
    with pytest.raises(DataError, match="3 values, but only 2 distinct"):
        Vocabulary(pa.array(["a", "a", "b"]))
    with pytest.raises(DataError, match="1 missing values"):
        Vocabulary(pa.array(["a", None]))
    with pytest.raises(DataError, match=r"a vocabulary of list<.*> cannot be made"):
        Vocabulary(pa.array([[1]]))
    with pytest.raises(DataError, match="values of type string were given to a vocabulary of int64"):
        Vocabulary(pa.array([1])).encode(["x"])


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = Vocabulary(pa.array(["a", "b"])).save(tmp_path / "v.parquet")
    whole = path.read_bytes()
    with pytest.raises(DataError, match=r"there is no vocabulary file .*gone\.parquet"):
        Vocabulary.load(tmp_path / "gone.parquet")
    for content in (b"", whole[: len(whole) // 2], b"PAR1 not parquet PAR1"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"v\.parquet is (no whole parquet file|empty)"):
            Vocabulary.load(path)
    for first in (b"-1", b"0", b"two", b"99999999999"):
        table = pa.table({"value": ["a"]}).replace_schema_metadata({b"first_code": first})
        pq.write_table(table, path)
        with pytest.raises(DataError, match=r"v\.parquet is no vocabulary: .* first code"):
            Vocabulary.load(path)
    pq.write_table(pa.table({"other": ["a"]}), path)
    with pytest.raises(DataError, match=r"is no vocabulary: it has columns \['other'\]"):
        Vocabulary.load(path)
    pq.write_table(pa.table({"value": ["a", "a"]}).replace_schema_metadata({b"first_code": b"2"}), path)
    with pytest.raises(DataError, match=r"v\.parquet is damaged: .*only 1 distinct"):
        Vocabulary.load(path)
