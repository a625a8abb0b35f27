"""Our schema beside that of merlin-core: the same operations, files that both read, objects taken over."""

import importlib.metadata
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from merlin_models_torch import schema as ours
from merlin_models_torch.schema import files


def installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if not installed("merlin-core"):
    pytest.skip("merlin-core is not installed", allow_module_level=True)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # merlin-core warns of every framework that is absent
    import merlin.dtypes
    import merlin.schema as theirs
    from merlin.schema.io.tensorflow_metadata import TensorflowMetadata


def column_facts(column: Any) -> dict[str, Any]:
    domains = [column.int_domain, column.float_domain, column.value_count]
    return {
        "name": column.name,
        "tags": sorted(str(getattr(tag, "value", tag)) for tag in column.tags),
        "properties": column.properties,
        "dtype": (column.dtype.name, column.dtype.element_type.value, column.dtype.element_size),
        "shape": (column.is_list, column.is_ragged, column.shape.as_tuple),
        "domains": [domain and (domain.min, domain.max, domain.name) for domain in domains],
    }


def facts(result: Any) -> Any:
    """A result in plain values, the same for both libraries."""
    if hasattr(result, "column_schemas"):
        return [column_facts(column) for column in result]
    if hasattr(result, "is_list"):
        return column_facts(result)
    if hasattr(result, "override"):
        return sorted(str(getattr(tag, "value", tag)) for tag in result)
    return result


def outcome(operation: Callable[[Any], Any], library: Any) -> Any:
    """What comes of it: plain values, or the kind of error."""
    try:
        return facts(operation(library))
    except (ValueError, TypeError, KeyError) as error:
        return next(kind.__name__ for kind in (KeyError, TypeError, ValueError) if isinstance(error, kind))


def columns(m: Any) -> dict[str, Any]:
    C, T = m.ColumnSchema, m.Tags
    counts = {
        "domain": {"min": 0, "max": 9, "name": "things"},
        "value_count": {"min": 2, "max": 5},
        "k": [1, "b"],
    }
    return {
        "item": C("item", [T.ITEM_ID, T.CATEGORICAL, "mine"], counts, "int32"),
        "genre": C(
            "genre", ["item"], {"domain": {"min": 1, "max": 3}}, "int64", is_list=True, is_ragged=True
        ),
        "user": C("user", [T.USER_ID], dtype="int64"),
        "price": C("price", [T.CONTINUOUS], {"domain": {"min": 0.5, "max": 2.5}}, "float32"),
        "fixed": C("fixed", dtype="float64", dims=(None, 4)),
        "bare": C("bare"),
    }


def schema(m: Any) -> Any:
    return m.Schema(list(columns(m).values()))


def item(m: Any) -> Any:
    return columns(m)["item"]


def other(m: Any) -> Any:
    C, T = m.ColumnSchema, m.Tags
    return m.Schema(
        [
            C("new", [T.TIME]),
            C("item", [T.CONTINUOUS], {"k": 2}, "float32"),
            C("user", ["mine"], {"value_count": {"min": 1, "max": 4}}),
            C("genre", dtype="int64", dims=(None, 3)),
        ]
    )


def made(**arguments: Any) -> Callable[[Any], Any]:
    return lambda m: m.ColumnSchema("a", **arguments)


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "schema": schema,
    "names": lambda m: schema(m).column_names,
    "from names": lambda m: m.Schema(["a", "b"]),
    "from dict": lambda m: m.Schema(columns(m)),
    "from number": lambda m: m.Schema(5),
    "tag": lambda m: schema(m).select_by_tag(m.Tags.ITEM),
    "tag text": lambda m: schema(m).select_by_tag("item"),
    "tag upper": lambda m: schema(m).select_by_tag("USER"),
    "tag own": lambda m: schema(m).select_by_tag("mine"),
    "tag own other case": lambda m: schema(m).select_by_tag("Mine"),
    "tag compound": lambda m: schema(m).select_by_tag(m.Tags.ITEM_ID),
    "tag compound in list": lambda m: schema(m).select_by_tag([m.Tags.ITEM_ID]),
    "tags compound": lambda m: schema(m).select_by_tag([m.Tags.ITEM_ID, m.Tags.USER_ID]),
    "tags any": lambda m: schema(m).select_by_tag([m.Tags.USER, m.Tags.CONTINUOUS]),
    "tags all": lambda m: schema(m).select_by_tag([m.Tags.ITEM, m.Tags.ID], pred_fn=all),
    "tags none": lambda m: schema(m).select_by_tag([]),
    "tags collide": lambda m: schema(m).select_by_tag([m.Tags.CATEGORICAL, m.Tags.CONTINUOUS]),
    "excluding tag": lambda m: schema(m).excluding_by_tag(m.Tags.ITEM_ID),
    "remove tags": lambda m: schema(m).remove_by_tag([m.Tags.ITEM, m.Tags.ID]),
    "excluding all": lambda m: schema(m).excluding_by_tag([m.Tags.ITEM, m.Tags.ID], pred_fn=all),
    "by name": lambda m: schema(m).select_by_name(["user", "unknown", "item"]),
    "by one name": lambda m: schema(m).select_by_name("user"),
    "excluding names": lambda m: schema(m).excluding_by_name(["user", "unknown"]),
    "without": lambda m: schema(m).without(["user"]),
    "remove col": lambda m: schema(m).remove_col("user"),
    "first": lambda m: schema(m).first,
    "first of none": lambda m: m.Schema().first,
    "get": lambda m: schema(m).get("price"),
    "get none": lambda m: schema(m).get("unknown"),
    "item": lambda m: schema(m)["price"],
    "items": lambda m: schema(m)[["user", "item"]],
    "no item": lambda m: schema(m)["unknown"],
    "sum": lambda m: schema(m) + other(m),
    "sum turned": lambda m: other(m) + schema(m),
    "sum none": lambda m: schema(m) + None,
    "sum number": lambda m: schema(m) + 5,
    "difference": lambda m: schema(m) - other(m),
    "difference none": lambda m: schema(m) - None,
    "difference number": lambda m: schema(m) - 5,
    "length": lambda m: len(schema(m)),
    "equal": lambda m: schema(m) == schema(m).copy(),
    "equal turned": lambda m: schema(m) == m.Schema(list(schema(m))[::-1]),
    "not equal": lambda m: schema(m) == other(m),
    "not equal to text": lambda m: schema(m) == "text",
    "equal unknown shape": lambda m: m.ColumnSchema("a") == m.ColumnSchema("a", dims=(None,)),
    "equal lists": lambda m: m.ColumnSchema("a", dims=(None, 3)) == m.ColumnSchema("a", dims=(None, 4)),
    "with name": lambda m: item(m).with_name("b"),
    "with tags": lambda m: item(m).with_tags([m.Tags.CONTINUOUS, "b"]),
    "with tag": lambda m: item(m).with_tags("embedding"),
    "with properties": lambda m: item(m).with_properties({"k": 3, "m": None}),
    "with counts": lambda m: item(m).with_properties({"value_count": {"min": 3, "max": 3}}),
    "with counts to scalar": lambda m: columns(m)["user"].with_properties({"value_count": {"max": 3}}),
    "with no properties": lambda m: item(m).with_properties([1]),
    "with dtype": lambda m: item(m).with_dtype("float32"),
    "with dtype list": lambda m: columns(m)["user"].with_dtype("int8", is_list=True),
    "with dtype fixed": lambda m: item(m).with_dtype("int8", is_list=True, is_ragged=False),
    "with shape": lambda m: item(m).with_shape((None, 4)),
    "with scalar shape": lambda m: item(m).with_shape((None,)),
    "with ranges": lambda m: columns(m)["user"].with_shape((None, (1, 7), (3, 3))),
    "text": lambda m: str(item(m)),
    "list": made(is_list=True),
    "list fixed": made(is_list=True, is_ragged=False),
    "list fixed counted": made(is_list=True, is_ragged=False, properties={"value_count": {"max": 4}}),
    "counted": made(properties={"value_count": {"max": 4}}),
    "counted, no list": made(is_list=False, properties={"value_count": {"max": 4}}),
    "empty count": made(properties={"value_count": {}}),
    "zero count": made(properties={"value_count": {"min": 0, "max": 0}}),
    "ragged only": made(is_ragged=True),
    "dims": made(dims=(None, (1, 2), 3)),
    "dims over flags": made(dims=(None, None), is_list=False),
    "dims fixed rows": made(dims=(5,)),
    "dims empty": made(dims=()),
    "ragged, no list": made(is_list=False, is_ragged=True),
    "fixed, ragged count": made(
        is_list=True, is_ragged=False, properties={"value_count": {"min": 2, "max": 4}}
    ),
    "ragged, fixed count": made(
        is_list=True, is_ragged=True, properties={"value_count": {"min": 4, "max": 4}}
    ),
    "count turned": made(properties={"value_count": {"min": 4, "max": 2}}),
    "dims wrong": made(dims=(None, "a")),
    "dims negative": made(dims=(None, -1)),
    "tags of one column collide": made(tags=["id", "embedding"]),
    "tag set": lambda m: m.TagSet(["USER_ID", m.Tags.TEXT_TOKENIZED, "mine", "multi_class_classification"]),
    "tag set sum": lambda m: m.TagSet(["item"]) + "list",
    "tag set difference": lambda m: m.TagSet(["item", "id", "list"]) - "item_id",
    "tag set override": lambda m: m.TagSet(["id", "item"]).override(m.Tags.CONTINUOUS),
    "tag names": lambda m: {tag.name: tag.value for tag in m.Tags},
}
"""All but what we do otherwise on purpose: uint has an int domain, dtype names are all of numpy's, nested
lists keep their inner sizes in ``with_dtype`` and ``with_properties``, ``with_dtype(is_list=False)`` makes a
scalar, and a domain in a file without both ends has none (theirs: from 0 to 0)."""


@pytest.mark.parametrize("name", OPERATIONS)
def test_same_outcome(name: str) -> None:
    assert outcome(OPERATIONS[name], ours) == outcome(OPERATIONS[name], theirs)


@pytest.mark.parametrize("value", [int, float, bool, str, object, "int8", "uint16", "float16", "bool", "str"])
def test_same_dtypes(value: object) -> None:
    got, expected = ours.dtype(value), merlin.dtypes.dtype(value)
    assert got.name == expected.name
    assert (got.element_type.value, got.element_size) == (expected.element_type.value, expected.element_size)


def read_theirs(text: str, kind: str) -> Any:
    read = TensorflowMetadata.from_json if kind == "json" else TensorflowMetadata.from_proto_text
    return read(text).to_merlin_schema()


@pytest.mark.parametrize("kind", ["json", "pbtxt"])
def test_we_read_what_they_write(kind: str) -> None:
    message = TensorflowMetadata.from_merlin_schema(schema(theirs))
    text = message.to_json() if kind == "json" else message.to_proto_text()
    read = files.from_json(text) if kind == "json" else files.from_pbtxt(text)
    assert facts(read) == facts(read_theirs(text, kind)) == facts(schema(ours))


def test_they_read_the_pbtxt_that_we_write() -> None:
    assert facts(read_theirs(files.to_pbtxt(schema(ours)), "pbtxt")) == facts(schema(theirs))


def test_they_read_the_json_that_we_write_up_to_properties_and_narrow_types() -> None:
    def common(columns: list[dict[str, Any]]) -> list[Any]:
        keys = ("name", "tags", "shape", "domains")
        return [([column[key] for key in keys], column["dtype"][1]) for column in columns]

    known = schema(ours).excluding_by_name(["fixed", "genre"])  # sizes that only a pbtxt tells them
    expected = schema(theirs).excluding_by_name(["fixed", "genre"])
    assert common(facts(read_theirs(files.to_json(known), "json"))) == common(facts(expected))


def test_their_objects_become_ours() -> None:
    assert facts(ours.as_schema(schema(theirs))) == facts(schema(ours))
    assert ours.as_schema(schema(theirs)) == schema(ours)
    assert facts(ours.as_column(item(theirs))) == facts(item(ours))


def test_their_selector_selects() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from merlin.dag import ColumnSelector
    selector = ColumnSelector(["price", "user"], tags=[theirs.Tags.ITEM_ID])
    expected = set(schema(theirs).select(selector).column_names)
    assert set(schema(ours).select(selector).column_names) == expected
    assert schema(ours).excluding(selector).column_names == schema(theirs).excluding(selector).column_names


def without_comments(text: str) -> str:
    """They pass over comments, in which we find properties."""
    content = json.loads(text)
    for feature in content["feature"]:
        feature.get("annotation", {}).pop("comment", None)
    return json.dumps(content)


def packaged() -> list[Path]:
    """Schema files that come with Merlin's other packages, where those are installed."""
    folders = [Path(folder) for folder in __import__("merlin").__path__]
    return sorted(
        file for folder in folders for file in (folder / "datasets").rglob("schema.*") if file.is_file()
    )


@pytest.mark.skipif(not packaged(), reason="no package with schema files is installed")
def test_packaged_files_read_the_same() -> None:
    for file in packaged():
        text = file.read_text()
        kind = file.suffix.removeprefix(".")
        if kind == "json":
            text = without_comments(text)
        found = facts(files.from_json(text) if kind == "json" else files.from_pbtxt(text))
        expected = facts(read_theirs(text, kind))
        endless = [column["properties"].get("domain", {}).get("max") == 0 for column in expected]
        assert len(found) == len(expected)
        for ours_, theirs_, skip in zip(found, expected, endless, strict=True):
            assert skip or ours_ == theirs_, file


@pytest.mark.skipif(not installed("transformers4rec"), reason="transformers4rec is not installed")
def test_schemas_of_transformers4rec_become_ours() -> None:
    import merlin_standard_lib as msl
    from merlin_standard_lib.proto.schema_bp import ValueCount

    things = msl.ColumnSchema.create_categorical("item", 10, value_count=ValueCount(1, 4), tags=["item_id"])
    vector = msl.ColumnSchema.create_continuous("vector", min_value=0.5, max_value=2, shape=(4,))
    found = ours.as_schema(msl.Schema([things.with_properties({"k": 1}), vector]))
    assert found == ours.Schema(
        [
            ours.ColumnSchema(
                "item",
                [ours.Tags.ITEM_ID, ours.Tags.CATEGORICAL],
                {
                    "domain": {"min": 0, "max": 10, "name": "item"},
                    "value_count": {"min": 1, "max": 4},
                    "k": 1,
                },
                "int64",
            ),
            ours.ColumnSchema(
                "vector",
                [ours.Tags.CONTINUOUS],
                {"domain": {"min": 0.5, "max": 2.0, "name": "vector"}},
                "float64",
                dims=(None, 4),
            ),
        ]
    )
    text = files.to_json(found)
    read = msl.Schema().from_json(text)
    assert [(c.name, c.int_domain.max, c.value_count.max) for c in read] == [
        ("item", 10, 4),
        ("vector", 0, 4),
    ]
    assert read.select_by_tag(theirs.Tags.ITEM_ID).column_names == ["item"]
