"""merlin_standard_lib: its constructors and files, on the schema of the core."""

import pytest
from merlin_standard_lib import ColumnSchema, Schema, Tag, categorical_cardinalities
from merlin_standard_lib.schema.tag import Tag as MovedTag
from merlin_standard_lib.utils.embedding_utils import get_embedding_sizes_from_schema

from merlin_models_torch.schema import Schema as CoreSchema
from merlin_models_torch.schema import Tags


@pytest.fixture
def schema():
    return Schema(
        [
            ColumnSchema.create_categorical("item", num_items=80, value_count=(1, 9), tags=[Tags.ITEM_ID]),
            ColumnSchema.create_categorical("user", num_items=15, tags=[Tags.USER_ID]),
            ColumnSchema.create_continuous("age", min_value=0, max_value=1),
            ColumnSchema.create_continuous("count", is_float=False),
        ]
    )


def test_tag_is_tags():
    assert Tag is Tags
    assert MovedTag is Tags


def test_columns_of_the_two_kinds(schema):
    item = schema["item"]
    assert Tags.CATEGORICAL in item.tags
    assert (item.int_domain.min, item.int_domain.max) == (0, 80)
    assert (item.value_count.min, item.value_count.max) == (1, 9)
    assert item.is_list
    assert not schema["user"].is_list
    assert schema["age"].float_domain.max == 1
    assert schema["count"].dtype.is_integer


def test_cardinalities_and_widths(schema):
    assert categorical_cardinalities(schema) == {"item": 81, "user": 16}
    # Twice the fourth roots, 3 and 2.
    assert get_embedding_sizes_from_schema(schema) == {"item": 6, "user": 4}


@pytest.mark.parametrize("kind", ["json", "pbtxt"])
def test_files_and_texts(schema, tmp_path, kind):
    text = schema.to_json() if kind == "json" else schema.to_proto_text()
    file = tmp_path / f"schema.{kind}"
    file.write_text(text)
    for given in (text, str(file)):
        read = Schema().from_json(given) if kind == "json" else Schema().from_proto_text(given)
        assert isinstance(read, Schema)
        assert read.column_names == schema.column_names
        assert categorical_cardinalities(read) == {"item": 81, "user": 16}
    assert categorical_cardinalities(CoreSchema.load(file)) == {"item": 81, "user": 16}


def test_selection_keeps_the_class_and_means_all_tags(schema):
    assert schema.item_id_column_name == "item"
    ids = schema.select_by_tag(Tags.CATEGORICAL)
    assert isinstance(ids, Schema)
    assert ids.column_names == ["item", "user"]
    assert schema.select_by_tag([Tags.CATEGORICAL, Tags.USER_ID]).column_names == ["user"]
    assert schema.remove_by_tag(Tags.CATEGORICAL).column_names == ["age", "count"]
    assert schema.select_by_name(lambda name: "e" in name).column_names == ["item", "user", "age"]
    assert schema.select_by_name(["user", "item"]).column_names == ["item", "user"]
    assert (ids + schema.select_by_name("age")).column_names == ["item", "user", "age"]


def test_no_item_column_is_named(schema):
    with pytest.raises(ValueError, match=r"no column of \['user'\] has the tag ITEM_ID"):
        schema.select_by_name("user").item_id_column_name  # noqa: B018


def test_a_model_is_built_from_it(schema):
    from transformers4rec import torch as tr

    columns = schema.select_by_name(["item"])
    inputs = tr.TabularSequenceFeatures.from_schema(columns, max_sequence_length=5, masking="mlm", d_output=4)
    assert inputs.item_id == "item"
    assert inputs.item_embedding_table.weight.shape == (81, 64)
