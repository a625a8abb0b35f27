"""merlin.schema: one behaviour, whether it is the real one or the fallback.

The same tests run in the environment with merlin-core and in the one without; that every operation of ours
gives what theirs gives is in ``test_schema_parity.py``, which needs both at once.
"""

from __future__ import annotations

import importlib.metadata
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # merlin-core warns of every framework that is absent
    import merlin.io
    import merlin.schema
    from merlin.schema import ColumnSchema, Schema, Tags
    from merlin.schema.io.tensorflow_metadata import TensorflowMetadata
    from merlin.schema.tags import TagSet

import merlin_models_torch as mm

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask and merlin-core under newer libraries


def schema() -> Schema:
    def domain(largest: int) -> dict[str, dict[str, int | str]]:
        return {"domain": {"min": 0, "max": largest, "name": "ids"}}

    counts = {"value_count": {"min": 1, "max": 4}}
    return Schema(
        [
            ColumnSchema("user", tags=[Tags.CATEGORICAL, Tags.USER_ID], dtype=np.int64, properties=domain(9)),
            ColumnSchema(
                "item",
                tags=[Tags.CATEGORICAL, Tags.ITEM_ID],
                dtype=np.int64,
                properties={**domain(20), **counts},
                is_list=True,
                is_ragged=True,
            ),
            ColumnSchema("price", tags=[Tags.CONTINUOUS], dtype=np.float32),
            ColumnSchema("click", tags=[Tags.TARGET, Tags.BINARY_CLASSIFICATION], dtype=np.int64),
        ]
    )


def test_the_real_one_wins_where_it_is() -> None:
    try:
        importlib.metadata.version("merlin-core")
        real = True
    except importlib.metadata.PackageNotFoundError:
        real = False
    place = Path(merlin.schema.__file__).parts
    assert ("_fallbacks_of_merlin_models_torch_compat" in place) != real
    assert (Schema is mm.Schema) != real


def test_columns_are_selected() -> None:
    whole = schema()
    assert whole.column_names == ["user", "item", "price", "click"]
    assert whole.select_by_tag(Tags.CATEGORICAL).column_names == ["user", "item"]
    assert whole.select_by_tag([Tags.CONTINUOUS, Tags.TARGET]).column_names == ["price", "click"]
    assert whole.select_by_name(["price", "user"]).column_names == ["price", "user"]
    assert whole.select_by_name("click").first.name == "click"
    assert whole.excluding_by_tag(Tags.TARGET).column_names == ["user", "item", "price"]
    assert whole.excluding_by_name(["user"]).column_names == ["item", "price", "click"]
    assert whole.without(["user", "item"]).column_names == ["price", "click"]
    assert whole.select_by_tag(Tags.ITEM).column_names == ["item"]
    assert [column.name for column in whole] == whole.column_names
    assert len(whole) == 4
    assert whole["item"].name == whole.column_schemas["item"].name == "item"
    assert whole[["item", "price"]].column_names == ["item", "price"]
    with pytest.raises(KeyError):
        whole["none"]


def test_schemas_are_put_together() -> None:
    whole = schema()
    parts = whole.select_by_name(["user", "item"]), whole.select_by_name(["item", "click"])
    assert (parts[0] + parts[1]).column_names == ["user", "item", "click"]
    assert (whole - parts[0]).column_names == ["price", "click"]
    assert (whole + None) == whole
    assert whole == schema()
    assert whole != parts[0]


def test_columns_say_what_they_are() -> None:
    item, price = schema()["item"], schema()["price"]
    assert (item.is_list, item.is_ragged, price.is_list) == (True, True, False)
    assert (item.int_domain.min, item.int_domain.max) == (0, 20)
    assert (item.value_count.min, item.value_count.max) == (1, 4)
    assert (item.dtype.name, price.dtype.name) == ("int64", "float32")
    assert price.int_domain is None
    # A tag of two parts is kept as these.
    assert {Tags.ITEM, Tags.ID, Tags.CATEGORICAL} == set(item.tags)
    assert set(TagSet([Tags.USER_ID])) == {Tags.USER, Tags.ID}


def test_columns_are_changed_as_copies() -> None:
    item = schema()["item"]
    assert item.with_name("film").name == "film"
    assert Tags.SESSION in item.with_tags(Tags.SESSION).tags
    assert {Tags.ITEM, Tags.ID} <= set(item.with_tags([Tags.SESSION]).tags)
    assert item.with_properties({"k": 1}).properties["k"] == 1
    assert item.with_properties({"k": 1}).properties["domain"]["max"] == 20
    assert item.with_dtype(np.int32).dtype.name == "int32"
    assert item == schema()["item"]


def test_a_schema_is_shown_as_a_table() -> None:
    frame = schema().to_pandas()
    assert list(frame.columns) == [
        *("name", "tags", "dtype", "is_list", "is_ragged"),
        *(f"properties.domain.{fact}" for fact in ("min", "max", "name")),
        *(f"properties.value_count.{fact}" for fact in ("min", "max")),
    ]
    assert frame["name"].tolist() == ["user", "item", "price", "click"]
    assert frame["is_ragged"].tolist() == [False, True, False, False]
    assert frame["properties.domain.max"].fillna(-1).tolist() == [9, 20, -1, -1]
    assert Tags.ITEM in frame["tags"][1]
    assert frame["dtype"][2].name == "float32"
    table = schema()._repr_html_()
    assert table.count("<tr") == 5
    assert "continuous" in table.lower()


def test_files_keep_a_schema(tmp_path: Path) -> None:
    metadata = TensorflowMetadata.from_merlin_schema(schema())
    metadata.to_proto_text_file(str(tmp_path))
    metadata.to_json_file(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["schema.json", "schema.pbtxt"]
    for read in (
        TensorflowMetadata.from_proto_text_file(str(tmp_path)),
        TensorflowMetadata.from_json_file(str(tmp_path)),
        TensorflowMetadata.from_proto_text(metadata.to_proto_text()),
        TensorflowMetadata.from_json(metadata.to_json()),
    ):
        again = read.to_merlin_schema()
        assert again.column_names == schema().column_names
        for column in again:
            first = schema()[column.name]
            assert set(column.tags) == set(first.tags)
            assert (column.dtype.name, column.is_list) == (first.dtype.name, first.is_list)
        assert again["item"].int_domain.max == 20
        assert again["item"].value_count.max == 4
    features = json.loads((tmp_path / "schema.json").read_text())["feature"]
    assert [feature["name"] for feature in features] == schema().column_names
    # And the core reads what either wrote.
    for name in ("schema.pbtxt", "schema.json"):
        assert mm.Schema.load(tmp_path / name)["item"].int_domain.max == 20


def test_a_dataset_takes_the_schema_that_it_is_given_or_finds(tmp_path: Path) -> None:
    rows = pd.DataFrame({"user": [1, 2], "price": np.array([0.5, 1.5], np.float32), "click": [0, 1]})
    chosen = schema().select_by_name(["user", "price", "click"])
    merlin.io.Dataset(rows, schema=chosen).to_parquet(str(tmp_path / "rows"))
    again = merlin.io.Dataset(str(tmp_path / "rows"), engine="parquet")
    assert again.num_rows == 2
    assert again.schema.column_names == ["user", "price", "click"]
    assert again.schema["user"].int_domain.max == 9
    assert {Tags.USER, Tags.ID} <= set(again.schema["user"].tags)
    given = merlin.io.Dataset(
        str(tmp_path / "rows"), engine="parquet", schema=chosen.select_by_name(["price"])
    )
    assert given.schema.column_names == ["price"]


def test_a_model_of_the_drop_in_takes_it() -> None:
    from transformers4rec import torch as tr

    inputs = tr.TabularSequenceFeatures.from_schema(
        schema().select_by_name(["item"]), max_sequence_length=5, masking="mlm", d_output=8
    )
    assert inputs.item_id == "item"
    assert inputs.item_embedding_table.num_embeddings == 21
