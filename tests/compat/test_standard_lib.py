"""merlin_standard_lib: its constructors and files, on the schema of the core."""

import copy
import pickle

import pytest
from merlin_standard_lib import ColumnSchema, Schema, Tag, categorical_cardinalities
from merlin_standard_lib.proto import schema_bp
from merlin_standard_lib.schema.schema import (
    Annotation,
    FeatureType,
    FixedShape,
    FixedShapeDim,
    FloatDomain,
    IntDomain,
    ValueCount,
    ValueCountList,
)
from merlin_standard_lib.schema.tag import Tag as MovedTag
from merlin_standard_lib.utils.embedding_utils import get_embedding_sizes_from_schema

from merlin_models_torch.schema import ColumnSchema as CoreColumn
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


def test_columns_are_left_out_by_name_or_function(schema):
    names = schema.column_names
    assert schema.remove_by_name(lambda name: name == names[0]).column_names == names[1:]
    assert schema.remove_by_name([names[0], "unknown"]).column_names == names[1:]


def test_a_star_brings_the_schema():
    found = {}
    exec("from merlin_standard_lib.schema.schema import *", found)
    assert found["Schema"] is Schema
    assert found["ColumnSchema"] is ColumnSchema
    assert found["IntDomain"] is schema_bp.IntDomain


def test_no_item_column_is_named(schema):
    with pytest.raises(ValueError, match=r"no column of \['user'\] has the tag ITEM_ID"):
        schema.select_by_name("user").item_id_column_name  # noqa: B018


def test_a_model_is_built_from_it(schema):
    from transformers4rec import torch as tr

    columns = schema.select_by_name(["item"])
    inputs = tr.TabularSequenceFeatures.from_schema(columns, max_sequence_length=5, masking="mlm", d_output=4)
    assert inputs.item_id == "item"
    assert inputs.item_embedding_table.weight.shape == (81, 64)


def test_columns_of_parts():
    column = ColumnSchema(
        "item",
        type=FeatureType.INT,
        int_domain=IntDomain(min=1, max=9, is_categorical=True),
        value_count=ValueCount(1, 5),
        annotation=Annotation(tag=["item_id"], extra_metadata=[{"source": "web"}]),
    )
    assert column == ColumnSchema.create_categorical(
        "item", 9, min_index=1, value_count=ValueCount(1, 5), tags=["item_id"], properties={"source": "web"}
    )
    assert column == CoreColumn("item", tags=column.tags, dtype="int64", properties=column.properties)
    assert column.type is FeatureType.INT
    assert column.int_domain.is_categorical
    assert column.annotation.extra_metadata == [{"source": "web"}]
    assert column.value_counts == ValueCountList([ValueCount(1, 5)])
    assert not column.shape.dim
    vector = ColumnSchema("v", type=FeatureType.FLOAT, shape=FixedShape([FixedShapeDim(4)]))
    assert [dim.size for dim in vector.shape.dim] == [4]
    assert vector == ColumnSchema.create_continuous("v", shape=[4]).copy(tags=[])


def test_parts_that_are_not_there_are_false(schema):
    age, count = schema["age"], schema["count"]
    assert not age.int_domain
    assert age.int_domain.max == 0
    assert not age.value_count
    assert not count.float_domain
    assert FloatDomain(min=-1.0, max=0.0)
    flagged = ColumnSchema.create_continuous("x", min_value=0, max_value=2, disallow_nan=True)
    assert flagged.float_domain.disallow_nan
    assert not flagged.float_domain.disallow_inf


def test_copies_keep_the_class(schema):
    item = schema["item"]
    for changed in (item.with_name("other"), item.with_tags(["mine"]), item.with_properties({"k": 1})):
        assert isinstance(changed, ColumnSchema)
    assert item.with_name("other").name == "other"
    assert "mine" in item.with_tags(["mine"]).tags
    assert item.with_properties({"k": 1}).properties["k"] == 1
    assert item.copy() == item


def test_a_wrong_value_count_is_named():
    with pytest.raises(ValueError, match="value_count of column 'item' is a ValueCount or a pair"):
        ColumnSchema.create_categorical("item", 9, value_count=7)


def test_sets_of_columns(schema):
    assert schema.select_by_type(FeatureType.FLOAT).column_names == ["age"]
    assert schema.remove_by_type([2]).column_names == ["age"]
    assert schema.remove_by_name("age").column_names == ["item", "user", "count"]
    assert (schema - schema.select_by_name(["item", "age"])).column_names == ["user", "count"]
    assert schema.add("new").column_names == [*schema.column_names, "new"]
    both = schema.select_by_name("age").add([ColumnSchema("age", tags=["mine"])])
    assert "mine" in both["age"].tags
    assert both["age"].float_domain.max == 1
    with pytest.raises(ValueError, match=r"both schemas have the columns \['age'\]"):
        schema.add(schema.select_by_name("age"), allow_overlap=False)
    with pytest.raises(TypeError, match="a schema is subtracted from a schema, not list"):
        schema - ["age"]
    assert schema.select_by_tag(lambda tags: Tags.ID in tags).column_names == ["item", "user"]
    assert schema.filter_columns_from_dict({"age": 1, "x": 2}) == {"age": 1}
    assert schema.apply(None) is schema
    assert schema.apply_inverse(["age"]).column_names == ["item", "user", "count"]
    assert schema.copy() == schema
    assert Schema.create({"a": ColumnSchema("a")}) == Schema(["a"])
    with pytest.raises(TypeError, match="a schema is made of a list of columns or a dict"):
        Schema.create(3)


def test_tags_by_properties():
    bare = Schema(
        [
            ColumnSchema("list", type=FeatureType.FLOAT, value_count=ValueCount(0, 3)),
            ColumnSchema("count", type=FeatureType.INT, int_domain=IntDomain(max=4)),
        ]
    )
    tagged = bare.with_tags_based_on_properties()
    assert tagged.select_by_tag(Tags.LIST).column_names == ["list"]
    assert tagged.select_by_tag(Tags.CONTINUOUS).column_names == ["count"]


def test_columns_change_in_place(schema):
    changed = schema.copy()
    item = changed.feature[0]
    item.int_domain.max = 90
    item.value_count = ValueCount(0, 5)
    item.annotation.tag.append("mine")
    item.annotation.tag.remove("categorical")
    item.name = "renamed"
    changed.feature.append(ColumnSchema("new"))
    assert changed.column_names == ["renamed", "user", "age", "count", "new"]
    assert (item.int_domain.max, item.value_count.max, item.shape.as_tuple[1]) == (90, 5, (0, 5))
    assert "mine" in item.tags
    assert Tags.CATEGORICAL not in item.tags
    assert changed["renamed"] is item
    assert schema["item"].int_domain.max == 80
    with pytest.raises(AttributeError, match="has no attribute 'int_domains'"):
        item.int_domains  # noqa: B018


def test_fields_that_the_core_does_not_read_are_kept():
    text = (
        'feature {\n  name: "a"\n  type: INT\n  presence {\n    min_count: 2\n  }\n'
        '  annotation {\n    tag: "item_id"\n  }\n}\n'
    )
    schema = Schema().from_proto_text(text)
    assert schema["a"].presence.min_count == 2
    assert not schema["a"].deprecated
    schema["a"].not_in_environment = ["serving"]
    for again in (schema.copy(), schema.select_by_name("a"), Schema().from_json(schema.to_json())):
        assert again["a"].presence.min_count == 2
        assert again["a"].not_in_environment == ["serving"]
        assert again == schema
    schema["a"].not_in_environment = []
    assert schema.to_proto_text() == text
    assert schema["a"].with_tags(["b"]).to_dict()["annotation"] == {"tag": ["item_id", "b"]}
    assert schema != Schema(["a"])


def test_columns_are_a_list_that_knows_names(schema):
    columns = schema.column_schemas
    assert [column.name for column in columns] == columns.keys() == schema.column_names
    assert columns[1] is columns["user"] is schema["user"]
    assert columns.get("nothing") is None
    assert [name for name, _ in columns.items()] == schema.column_names
    schema["user"] = ColumnSchema("user", type=FeatureType.BYTES)
    assert columns[1].type is FeatureType.BYTES
    with pytest.raises(KeyError):
        columns["nothing"]


def test_one_column_as_text(schema):
    text = schema["item"].to_proto_text()
    assert text.startswith('name: "item"\n')
    assert Schema().from_proto_text(f"feature {{\n{text}}}")["item"] == schema["item"]


def test_other_messages_are_those_of_tensorflow_metadata():
    from tensorflow_metadata.proto.v0 import schema_pb2

    assert schema_bp.StringDomain is schema_pb2.StringDomain
    assert schema_bp.SparseFeatureIndexFeature is schema_pb2.SparseFeature.IndexFeature
    assert schema_bp.LifecycleStage.DEPRECATED == schema_pb2.DEPRECATED
    assert schema_bp.Feature is ColumnSchema
    with pytest.raises(AttributeError, match="schema_bp' has no attribute 'Featur'"):
        schema_bp.Featur  # noqa: B018


def test_schemas_are_copied_and_pickled(schema):
    schema["item"].not_in_environment = ["serving"]
    for again in (copy.copy(schema), copy.deepcopy(schema), pickle.loads(pickle.dumps(schema))):
        assert again == schema
        assert again["item"].not_in_environment == ["serving"]
        assert again.column_names == schema.column_names
    part = copy.deepcopy(schema["item"].int_domain)
    assert part == schema["item"].int_domain
    part.max = 5
    assert schema["item"].int_domain.max == 80


def test_fields_of_a_column_by_their_places():
    made = ColumnSchema("a", True, None, None, None, ValueCount(1, 4))
    assert made.deprecated
    assert made.value_count.max == 4
    with pytest.raises(TypeError, match="a column has 27 fields after its name, got 28: name them"):
        ColumnSchema("a", *[None] * 28)
    with pytest.raises(TypeError, match="multiple values for keyword argument 'value_count'"):
        ColumnSchema("a", None, None, None, None, ValueCount(1, 4), value_count=ValueCount(1, 2))


def test_a_column_takes_what_a_feature_says():
    column = ColumnSchema("a", value_count=ValueCount(1, 4))
    assert column.from_json('{"type": "INT", "intDomain": {"max": "7"}}') is column
    assert (column.name, column.int_domain.max, column.value_count.max) == ("a", 7, 4)


def test_a_copied_annotation_belongs_to_no_column():
    column = ColumnSchema("a", tags=["x"])
    copied = copy.deepcopy(column.annotation)
    assert copied == column.annotation
    copied.tag.append("y")
    assert (copied.tag, column.annotation.tag) == (["x", "y"], ["x"])
