"""Schema files: round trips, what other programs write, and damaged ones."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from merlin_models_torch.schema import ColumnSchema, Dimension, Domain, Schema, SchemaError, Tags, TagSet
from merlin_models_torch.schema.files import from_json, from_pbtxt, to_json, to_pbtxt

WHOLE = st.integers(-(2**53), 2**53)
EIGHTHS = st.integers(-80_000, 80_000).map(lambda number: number / 8)  # whole in the 32 bits of a pbtxt
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
LISTS = st.tuples(st.integers(0, 9), st.none() | st.integers(10, 99))
DIMS = st.sampled_from([None, (None,), (None, 4), (None, (2, None), 3)]) | st.tuples(st.none(), LISTS)
DTYPES = [
    "int8",
    "int64",
    "uint16",
    "float16",
    "float32",
    "bfloat16",
    "bool",
    "str",
    "datetime64[ns]",
    "unknown",
]
TAGS = st.sampled_from(
    [[], [Tags.ITEM_ID, Tags.CATEGORICAL], [Tags.CONTINUOUS, Tags.LIST], ["mine", Tags.TARGET]]
)


@st.composite
def columns(draw: st.DrawFn) -> ColumnSchema:
    dtype = draw(st.sampled_from(DTYPES))
    ends = draw(st.tuples(*[EIGHTHS if "float" in dtype else WHOLE] * 2))
    properties = draw(st.dictionaries(TEXT.map("p{}".format), VALUES, max_size=3))
    domain = {"min": min(ends), "max": max(ends)}
    if draw(st.booleans()):
        domain["name"] = draw(TEXT)
    if draw(st.booleans()):
        properties["domain"] = domain
    return ColumnSchema(draw(TEXT), draw(TAGS), properties, dtype, dims=draw(DIMS))


SCHEMAS = st.lists(columns(), min_size=1, max_size=3, unique_by=lambda column: column.name).map(Schema)


@given(SCHEMAS)
@settings(max_examples=60, deadline=None)
def test_both_kinds_of_files_give_back_what_was_written(schema: Schema) -> None:
    for again in (from_json(to_json(schema)), from_pbtxt(to_pbtxt(schema))):
        assert again == schema
        assert again.column_names == schema.column_names
        assert [column.dims for column in again] == [column.dims for column in schema]


@example(0.0, 3.4028235e38)
@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
@settings(max_examples=40, deadline=None)
def test_float_domains_are_exact_in_json_and_of_32_bits_in_pbtxt(low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    schema = Schema([ColumnSchema("a", properties={"domain": {"min": low, "max": high}}, dtype="float64")])
    assert from_json(to_json(schema)) == schema
    with np.errstate(over="ignore"):
        narrow = np.array([low, high], np.float32)
    if np.isfinite(narrow).all():
        domain = from_pbtxt(to_pbtxt(schema)).first.float_domain
        assert domain is not None
        np.testing.assert_array_equal(np.array([domain.min, domain.max], np.float32), narrow)


def test_a_domain_without_a_largest_value_stays_so() -> None:
    schema = Schema([ColumnSchema("a", properties={"domain": {"min": 2, "name": "things"}}, dtype="int64")])
    assert from_pbtxt(to_pbtxt(schema)) == from_json(to_json(schema)) == schema


def test_json_is_as_plain_as_transformers4rec_needs_it() -> None:
    column = ColumnSchema("a", [Tags.ITEM_ID], {"domain": {"min": 0, "max": 5}}, "int64", dims=(None, (1, 9)))
    assert json.loads(to_json(Schema([column]))) == {
        "feature": [
            {
                "name": "a",
                "type": "INT",
                "valueCount": {"min": "1", "max": "9"},
                "intDomain": {"max": "5"},
                "annotation": {"tag": ["item", "id"]},
            }
        ]
    }


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    column = ColumnSchema(
        "a", properties={"domain": {"min": np.int64(0), "max": np.int64(5)}, "k": np.float32(0.5)}
    )
    again = from_json(to_json(Schema([column.with_dtype("int64")]))).first
    assert again.int_domain == Domain(0, 5)
    assert again.properties["k"] == 0.5


PBTXT = """
feature {
  name: "item_id"
  type: INT
  value_count { min: 2 max: 20 }
  int_domain { name: "item" max: 51996 is_categorical: true }
  annotation {
    tag: "item_id"
    extra_metadata {
      type_url: "type.googleapis.com/google.protobuf.Struct"
      value: "\\n\\017\\n\\tis_ragged\\022\\002 \\001\\n\\r\\n\\007is_list\\022\\002 \\001"
    }
  }
}
feature {
  name: "age"
  type: FLOAT
  float_domain { min: -2.5 }
  annotation { tag: "continuous" }
}
feature { name: "vector" type: FLOAT shape { dim { size: 8 } } }
feature { name: "one" type: FLOAT shape { dim { size: 1 } } }
feature { name: "nested" type: INT value_counts { value_count { min: 1 max: 3 } value_count { max: 5 } } }
feature { name: "title" type: BYTES }
"""


def test_pbtxt_written_by_others() -> None:
    schema = from_pbtxt(PBTXT)
    item = schema["item_id"]
    assert item.tags == TagSet([Tags.ITEM_ID, Tags.CATEGORICAL])
    assert item.int_domain == Domain(0, 51996, "item")
    assert (item.dims, item.dtype.name) == (((0, None), (2, 20)), "int64")
    assert schema["age"].float_domain == Domain(-2.5, 0)
    assert schema["vector"].dims == ((0, None), 8)
    assert schema["one"].dims is None
    assert schema["nested"].dims == ((0, None), (1, 3), (0, 5))
    assert schema["title"].dtype.name == "str"


JSON = {
    "feature": [
        {
            "name": "item_id/list",
            "type": "INT",
            "is_list": True,
            "valueCount": {"min": "1", "max": "20"},
            "intDomain": {"name": "item", "min": "1", "max": "10000", "isCategorical": True, "is_list": True},
            "annotation": {"tag": ["categorical", "item_id", "item", "list"]},
        },
        {
            "name": "category",
            "type": 2,
            "value_count": {"max": 20},
            "int_domain": {"max": 100, "is_categorical": True},
            "annotation": {"comment": ['{"k": 1}'], "extra_metadata": [{"sizes": {"dimension": 16.0}}]},
        },
        {"name": "recency", "type": "FLOAT", "floatDomain": {"max": 1.0}, "annotation": {}},
        {
            "name": "noted",
            "type": "INT",
            "annotation": {"comment": ["note", '{"is_list": true, "k": 2.0}']},
        },
        {"name": "plain", "annotation": {"comment": ["a note"]}, "type": "INT", "valueCount": {}},
        {"name": "unnamed", "type": "INT", "intDomain": {"name": "item", "isCategorical": True}},
    ]
}


def test_json_of_transformers4rec() -> None:
    schema = from_json(json.dumps(JSON))
    item, category = schema["item_id/list"], schema["category"]
    assert item.tags == TagSet([Tags.CATEGORICAL, Tags.ITEM_ID, Tags.LIST])
    assert (item.int_domain, item.value_count) == (Domain(1, 10000, "item"), Domain(1, 20))
    assert category.shape.dims == (Dimension(), Dimension(0, 20))
    assert Tags.CATEGORICAL in category.tags
    assert category.properties["sizes"] == {"dimension": 16}
    assert isinstance(category.properties["sizes"]["dimension"], int)
    assert schema["recency"].float_domain == Domain(0, 1.0)
    assert "k" not in category.properties
    assert schema["noted"].properties["k"] == 2
    assert schema["noted"].is_list
    assert schema["plain"].properties == {}
    assert not schema["plain"].is_list
    assert schema["unnamed"].int_domain == Domain(name="item")


def test_a_type_changed_by_another_program_beats_our_note_of_the_old_one() -> None:
    content = json.loads(to_json(Schema([ColumnSchema("a", dtype="uint8")])))
    (comment,) = content["feature"][0]["annotation"]["comment"]
    metadata = json.loads(comment)
    assert metadata["_dtype"] == "uint8"
    content["feature"][0]["annotation"]["comment"] = [json.dumps({**metadata, "dtype_item_size": 32})]
    assert from_json(json.dumps(content))["a"].dtype.name == "int32"


@pytest.mark.parametrize("ending", ["pbtxt", "json"])
def test_files_and_folders(tmp_path: Path, ending: str) -> None:
    schema = from_pbtxt(PBTXT)
    file = tmp_path / "new" / f"schema.{ending}"
    schema.save(file)
    assert Schema.load(file) == Schema.load(str(file.parent)) == schema
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_folder_gets_a_pbtxt(tmp_path: Path) -> None:
    from_pbtxt(PBTXT).save(tmp_path / "model")
    assert (tmp_path / "model" / "schema.pbtxt").is_file()


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "schema.pbtxt"
    Schema(["a"]).save(file)
    with pytest.raises(
        SchemaError, match=r"column 'a' has the property 'k' of .*, which a schema file cannot hold"
    ):
        Schema([ColumnSchema("a", properties={"k": object()})]).save(file)
    with pytest.raises(SchemaError, match=r"column 'b' cannot be written to a schema.pbtxt"):
        Schema(["a", ColumnSchema("b", properties={"domain": {"max": 2**70}}, dtype="int64")]).save(file)
    assert Schema.load(file).column_names == ["a"]
    assert len(list(tmp_path.iterdir())) == 1


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"schema.txt should end in .pbtxt or .json"):
        Schema(["a"]).save(tmp_path / "schema.txt")


@pytest.mark.parametrize("value", [float("nan"), 2**60, {1: {2, 3}}])
def test_properties_that_no_file_holds(value: object) -> None:
    with pytest.raises(SchemaError, match=r"column 'a' has the property 'k.* use text, finite numbers"):
        to_json(Schema([ColumnSchema("a", properties={"k": value})]))


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        ("feature", "feature number 1 has no name"),
        ({"name": ""}, "feature number 1 has no name"),
        ({"name": "a", "type": "TEXT"}, "column 'a' has type 'TEXT': it should be INT, FLOAT or BYTES"),
        ({"name": "a", "annotation": 3}, "column 'a' has annotation of 3: it should be an object"),
        ({"name": "a", "annotation": {"tag": "item"}}, "column 'a' has tags 'item': they should be a list"),
        ({"name": "a", "annotation": {"tag": ["id", "continuous"]}}, "column 'a': the tags .* leave one"),
        ({"name": "a", "annotation": {"extraMetadata": [{}, {}]}}, "column 'a' has several extra_metadata"),
        (
            {"name": "a", "annotation": {"extraMetadata": ["x"]}},
            "column 'a' has extra_metadata that is no Struct",
        ),
        (
            {"name": "a", "annotation": {"extraMetadata": [{"_dims": ["x"]}]}},
            "column 'a': a dimension is None, a whole number",
        ),
        (
            {"name": "a", "annotation": {"extraMetadata": [{"_dims": 3}]}},
            "column 'a' has _dims of 3: they should be a list",
        ),
        ({"name": "a", "type": "INT", "intDomain": {"max": "x"}}, "column 'a': the max of its domain is 'x'"),
        (
            {"name": "a", "type": "INT", "intDomain": {"max": 1.5}},
            "column 'a': the max of its domain is 1.5: it should",
        ),
        (
            {"name": "a", "type": "INT", "intDomain": {"min": 9, "max": 5}},
            "column 'a' has a domain from 9 to 5: swap them",
        ),
        (
            {"name": "a", "type": "FLOAT", "floatDomain": {"max": "NaN"}},
            "column 'a': the max of its domain is 'NaN'",
        ),
        (
            {"name": "a", "valueCount": {"min": 5, "max": 2}},
            "column 'a': the largest size of a dimension .* not 2",
        ),
        ({"name": "a", "shape": {"dim": [{"size": -3}]}}, "column 'a': the smallest size .* not -3"),
    ],
)
def test_wrong_content_names_the_column(tmp_path: Path, feature: object, text: str) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps({"feature": [feature]}))
    with pytest.raises(SchemaError, match=f"schema.json is no usable schema file, {text}.*: write it again"):
        Schema.load(file)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"feature": []}', '{"feature": {}}'])
def test_json_without_columns(text: str) -> None:
    with pytest.raises(SchemaError, match=r"it has no column|it is not whole JSON"):
        from_json(text)


def test_a_column_that_is_there_twice() -> None:
    with pytest.raises(SchemaError, match="column 'a' is in it twice"):
        from_json('{"feature": [{"name": "a"}, {"name": "a"}]}')


@pytest.mark.parametrize("ending", ["pbtxt", "json"])
@given(share=st.floats(0, 1, exclude_max=True), noise=st.binary(max_size=20))
@settings(max_examples=40, deadline=None)
def test_truncated_and_garbled_files_give_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, ending: str, share: float, noise: bytes
) -> None:
    schema = from_pbtxt(PBTXT)
    content = (to_pbtxt(schema) if ending == "pbtxt" else to_json(schema)).encode()
    file = tmp_path_factory.getbasetemp() / f"damaged.{ending}"
    file.write_bytes(content[: int(share * len(content))] + noise)
    try:
        read = Schema.load(file)
    except SchemaError as error:
        text = str(error)
    else:
        text = f"{file} still has {read.column_names[0]}, write it again"
        assert set(read.column_names) <= set(schema.column_names)
    assert text.startswith(f"{file} ")
    assert "write it again" in text


@pytest.mark.parametrize("text", ["[" * 100_000, '{"feature":' * 5000])
def test_deeply_nested_json(text: str) -> None:
    with pytest.raises(SchemaError, match="it is not whole JSON"):
        from_json(text)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(
        SchemaError, match=r"there is no schema file .*gone.pbtxt: check the path, or infer a schema"
    ):
        Schema.load(tmp_path / "gone.pbtxt")
    with pytest.raises(SchemaError, match=r"the folder .* has neither schema.pbtxt nor schema.json"):
        Schema.load(tmp_path)
