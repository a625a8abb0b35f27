"""``merlin.datasets.synthetic``; ``tests/equivalence/cases/datasets.py`` compares it with the original."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from deprecation import DeprecatedWarning

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # merlin-core warns of every framework that is absent
    from merlin.datasets.synthetic import (
        KNOWN_DATASETS,
        generate_conditional_features,
        generate_data,
        generate_random_list_feature,
        generate_user_item_interactions,
    )
    from merlin.io import Dataset
    from merlin.schema import ColumnSchema, Schema, Tags
    from merlin.schema.io.tensorflow_metadata import TensorflowMetadata

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask and merlin-core under newer libraries


def ids(name: str, largest: int, *tags: Any, **options: Any) -> ColumnSchema:
    domain = {"domain": {"min": 0, "max": largest, "name": name}}
    return ColumnSchema(name, tags=[Tags.CATEGORICAL, *tags], properties=domain, dtype=np.int64, **options)


def sessions() -> Schema:
    lists: dict[str, Any] = {"dims": ((0, None), (2, 5))}
    return Schema(
        [
            ids("user", 50, Tags.USER_ID),
            ids("item", 90, Tags.ITEM_ID),
            ids("brand", 7, Tags.ITEM),
            ids("seen", 30, **lists),
            ColumnSchema("prices", tags=[Tags.CONTINUOUS], dtype=np.float32, **lists),
            ColumnSchema("click", tags=[Tags.TARGET, Tags.BINARY_CLASSIFICATION], dtype=np.int8),
        ]
    )


def rows_of(dataset: Dataset) -> pd.DataFrame:
    return dataset.to_ddf().compute()


@pytest.mark.parametrize("name", sorted(KNOWN_DATASETS))
def test_rows_keep_to_the_schema(name: str) -> None:
    np.random.seed(0)
    data = generate_data(name, 60)
    rows = rows_of(data)
    assert sorted(rows) == sorted(data.schema.column_names)
    for column in data.schema:
        if column.dtype.name == "str":
            continue
        values = rows[column.name].to_numpy()
        if column.is_list:
            values = np.stack(values)
        # Numbers of a user or an item stay float64, and ids that follow from theirs begin at 1, as in 23.12.
        known = column.dtype.name
        assert values.dtype.name == known or (values.dtype.name == "float64" and known == "float32")
        if column.is_list:
            count = column.value_count
            assert values.shape == (60, count.max or count.min)
            assert ((values != 0).sum(1) >= count.min).all()
        domain = column.int_domain or column.float_domain
        if domain and Tags.BINARY_CLASSIFICATION not in column.tags:
            inside = values[values != 0]
            assert (inside >= min(domain.min, 1)).all()
            assert (inside <= domain.max).all()


def test_a_seed_repeats_everything() -> None:
    def drawn(seed: int) -> pd.DataFrame:
        np.random.seed(seed)
        return rows_of(generate_data(sessions(), 40))

    pd.testing.assert_frame_equal(drawn(3), drawn(3))
    assert not drawn(3).equals(drawn(4))


def test_sets_share_the_rows() -> None:
    np.random.seed(1)
    whole = rows_of(generate_data(sessions(), 50))
    np.random.seed(1)
    train, valid = generate_data(sessions(), 50, set_sizes=(0.8, 0.2))
    assert (train.num_rows, valid.num_rows) == (40, 10)
    together = pd.concat([rows_of(train), rows_of(valid)], ignore_index=True)
    pd.testing.assert_frame_equal(together, whole)
    assert train.schema == valid.schema


def test_lists_have_the_lengths_that_are_asked_for() -> None:
    np.random.seed(2)
    data = generate_data(sessions(), 300, min_session_length=1, max_session_length=4)
    seen = np.stack(rows_of(data)["seen"].tolist())
    assert seen.shape == (300, 4)
    lengths = (seen > 0).sum(1)
    assert set(lengths) == {1, 2, 3, 4}
    assert ((seen > 0) == (np.arange(4) < lengths[:, None])).all()  # zeros behind
    for name in ("seen", "prices"):
        assert data.schema[name].shape.as_tuple == ((0, None), (1, 4))


def test_what_follows_from_an_item_by_hand() -> None:
    frame = pd.DataFrame({"item": [1, 3, 4, 5, 9]})
    # Ranges up to 3, 5, 7 and 9.
    with_brand = generate_conditional_features(frame, [ids("brand", 5)], ids("item", 9))
    assert with_brand["brand"].tolist() == [1, 1, 2, 2, 4]
    same = generate_conditional_features(pd.DataFrame({"item": [6, 6]}), [ids("brand", 4)], ids("item", 9))
    assert same["brand"].tolist() == [2, 2]  # in the middle of three


def test_lists_without_a_longest_have_one_length() -> None:
    lists = generate_random_list_feature(ids("a", 4, dims=((0, None), (3, None))), 200)
    assert {len(one) for one in lists} == {3}
    assert set(np.concatenate(lists)) == {1, 2, 3}


def test_schemas_come_from_files(tmp_path: Path) -> None:
    metadata = TensorflowMetadata.from_merlin_schema(sessions())
    metadata.to_proto_text_file(tmp_path)
    np.random.seed(5)
    given = rows_of(generate_data(sessions(), 10))
    for path in (str(tmp_path), tmp_path, tmp_path / "schema.pbtxt"):
        np.random.seed(5)
        pd.testing.assert_frame_equal(rows_of(generate_data(path, 10)), given, check_dtype=False)
    metadata.to_json_file(tmp_path)
    (tmp_path / "schema.pbtxt").unlink()
    assert generate_data(str(tmp_path), 3).schema.column_names == sessions().column_names
    assert generate_data(str(KNOWN_DATASETS["social"]), 3).schema == generate_data("social", 3).schema


def test_what_cannot_be_drawn_is_named() -> None:
    with pytest.raises(ValueError, match=r"Unknown dataset 'ecommerce', did you mean 'e-commerce'[?]"):
        generate_data("ecommerce", 10)
    with pytest.raises(ValueError, match=r"Unknown dataset 'qqq', the known ones are .*'aliccp'"):
        generate_data("qqq", 10)
    with pytest.raises(ValueError, match="input is a int, expected a Schema"):
        generate_data(3, 10)
    with pytest.raises(ValueError, match="device is 'gpu', rows are drawn on the CPU"):
        generate_data("testing", 10, device="gpu")
    with pytest.raises(ValueError, match="0 rows were asked for"):
        generate_data("testing", 0)
    with pytest.raises(ValueError, match=r"none of \['user'\] is tagged ITEM_ID"):
        generate_user_item_interactions(sessions().select_by_name(["user"]), 10)
    bare = ColumnSchema("item", tags=[Tags.ITEM_ID], dtype=np.int64)
    with pytest.raises(ValueError, match="'item' has no largest value: Int domain is required"):
        generate_data(Schema([bare]), 10)
    with pytest.raises(ValueError, match="'brand' follows from 'item' in 0 ranges"):
        generate_data(Schema([ids("item", 9, Tags.ITEM_ID), ids("brand", 1, Tags.ITEM)]), 10)
    listed = ids("item", 9, Tags.ITEM_ID, dims=((0, None), (2, 3)))
    with pytest.raises(
        ValueError, match="'brand' has one value a row, but follows from 'item', which has lists"
    ):
        generate_data(Schema([listed, ids("brand", 5, Tags.ITEM)]), 10)
    with pytest.raises(ValueError, match="'day' has the domain 0 to 0"):
        generate_data(Schema([ids("item", 9, Tags.ITEM_ID), ids("day", 0)]), 10)


def test_it_is_told_once_at_the_users_line() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        generate_data("testing", 5)
    (one,) = (each for each in told if issubclass(each.category, DeprecatedWarning))
    assert one.filename == __file__
    assert "merlin.datasets.synthetic.generate_data is deprecated" in str(one.message)
    assert "from-merlin-models-torch.md#data-sets" in str(one.message)
