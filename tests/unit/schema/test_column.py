"""One column: facts that must agree, and copies with some of them changed."""

from dataclasses import FrozenInstanceError

import pytest

from merlin_models_torch.schema import ColumnSchema, Domain, Tags, TagSet

ITEMS = ColumnSchema(
    "item",
    [Tags.ITEM_ID, Tags.CATEGORICAL],
    {"domain": {"min": 0, "max": 9, "name": "things"}, "value_count": {"min": 2, "max": 5}, "k": 1},
    "int64",
)


def test_a_bare_column() -> None:
    column = ColumnSchema("a")
    assert (column.dtype.name, column.is_list, column.is_ragged, column.properties) == (
        "unknown",
        False,
        False,
        {},
    )
    assert column.tags == TagSet()
    assert column.int_domain is column.float_domain is column.value_count is column.dims is None
    assert str(column) == "a"


def test_domains_and_value_counts() -> None:
    assert ITEMS.int_domain == Domain(0, 9, "things")
    assert ITEMS.float_domain is None
    assert ITEMS.value_count == Domain(2, 5)
    assert ITEMS.with_dtype("float32").float_domain == Domain(0, 9, "things")
    assert ITEMS.with_dtype("uint8").int_domain == Domain(0, 9, "things")
    assert Domain(0, 9).is_bounded
    assert not Domain(max=9).is_bounded


@pytest.mark.parametrize(
    ("given", "dims", "ragged"),
    [
        ({"is_list": True}, ((0, None), (0, None)), True),
        ({"is_list": True, "is_ragged": False}, ((0, None), (0, None)), True),
        ({"properties": {"value_count": {"max": 4}}}, ((0, None), (0, 4)), True),
        (
            {"is_list": True, "is_ragged": False, "properties": {"value_count": {"max": 4}}},
            ((0, None), 4),
            False,
        ),
        ({"is_list": False, "properties": {"value_count": {"max": 4}}}, ((0, None), (0, 4)), True),
        ({"dims": (None, (1, 2), 3)}, ((0, None), (1, 2), 3), True),
        ({"dims": (None,), "is_list": True}, ((0, None),), False),
        ({"is_ragged": True}, None, False),
        ({"dims": ()}, None, False),
    ],
)
def test_the_shape_is_drawn_from_what_is_given(given: dict[str, object], dims: object, ragged: bool) -> None:
    column = ColumnSchema("a", **given)  # type: ignore[arg-type]
    assert (column.dims, column.is_ragged) == (dims, ragged)
    assert column.is_list is (dims is not None and len(dims) > 1)  # type: ignore[arg-type]


def test_a_shape_fills_the_value_count() -> None:
    assert ColumnSchema("a", dims=(None, 4)).properties == {"value_count": {"min": 4, "max": 4}}


def test_given_dicts_are_not_changed_and_not_shared() -> None:
    domain = {"min": 0, "max": 3}
    given = {"domain": domain, "value_count": {"max": 4}}
    column = ColumnSchema("a", properties=given, is_list=True, is_ragged=False)
    column.properties["domain"]["max"] = 8
    assert given == {"domain": {"min": 0, "max": 3}, "value_count": {"max": 4}}
    with pytest.raises(FrozenInstanceError):
        column.name = "b"  # type: ignore[misc]


def test_with_name_and_tags() -> None:
    other = ITEMS.with_name("b").with_tags([Tags.CONTINUOUS, "mine"])
    assert other.name == "b"
    assert other.tags == TagSet([Tags.ITEM, Tags.CONTINUOUS, "mine"])
    assert other.dims == ITEMS.dims
    assert ITEMS.name == "item"


def test_with_properties_adds_and_a_value_count_reshapes() -> None:
    assert ITEMS.with_properties({"k": 2}).properties == {**ITEMS.properties, "k": 2}
    assert ITEMS.with_properties({"value_count": {"min": 3, "max": 3}}).dims == ((0, None), 3)
    nested = ColumnSchema("a", dims=(None, (2, None), 3))
    assert nested.with_properties({"value_count": {"max": 7}}).dims == ((0, None), (0, 7), 3)
    assert nested.with_properties({"k": 1}).dims == nested.dims
    with pytest.raises(TypeError, match=r"properties of column 'item' are a dict .* not list"):
        ITEMS.with_properties([1])  # type: ignore[arg-type]


def test_with_dtype_keeps_the_shape_unless_told() -> None:
    nested = ColumnSchema("a", dims=(None, (2, None), 3))
    assert nested.with_dtype("int32").dims == nested.dims
    assert ITEMS.with_dtype("int32", is_list=True, is_ragged=False).dims == ITEMS.dims
    scalar = ITEMS.with_dtype("int32", is_list=False)
    assert (scalar.dims, scalar.is_list, "value_count" in scalar.properties) == (None, False, False)
    assert scalar.with_dtype("int8", is_list=True).dims == ((0, None), (0, None))


def test_with_shape_replaces_the_value_count() -> None:
    assert ITEMS.with_shape((None, 4)).value_count == Domain(4, 4)
    assert ITEMS.with_shape((None,)).value_count is None


def test_equality_is_of_all_facts() -> None:
    assert ITEMS.with_name("item") == ITEMS
    assert ITEMS.with_name("b") != ITEMS
    assert ITEMS.with_tags("mine") != ITEMS
    assert ITEMS.with_dtype("int32") != ITEMS
    assert ITEMS.with_properties({"k": 2}) != ITEMS
    assert ColumnSchema("a", dtype="int64") == ColumnSchema("a", dtype="int64", dims=(None,))


def test_a_sum_takes_type_and_shape_of_the_second() -> None:
    merged = ITEMS.merged(ColumnSchema("item", [Tags.CONTINUOUS], {"k": 2}, "float32"))
    assert merged.tags == TagSet([Tags.ITEM, Tags.CONTINUOUS])
    assert merged.properties == {"domain": {"min": 0, "max": 9, "name": "things"}, "k": 2}
    assert (merged.dtype.name, merged.is_list) == ("float32", False)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"tags": ["categorical", "continuous"]}, "column 'a': the tags .* leave one of them out"),
        ({"is_list": False, "is_ragged": True}, "column 'a' is said to be ragged but no list"),
        (
            {"is_list": True, "is_ragged": False, "properties": {"value_count": {"min": 2, "max": 4}}},
            "column 'a' has is_ragged=False but a value count of 2 to 4: leave is_ragged out",
        ),
        (
            {"is_list": True, "is_ragged": True, "properties": {"value_count": {"min": 4, "max": 4}}},
            "column 'a' has is_ragged=True but a value count of 4 to 4",
        ),
        ({"properties": {"value_count": {"min": 4, "max": 2}}}, "column 'a': the largest size .* not 2"),
        ({"dims": (None, -1)}, "column 'a': the smallest size .* not -1"),
    ],
)
def test_contradictions_name_the_column(given: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ColumnSchema("a", **given)  # type: ignore[arg-type]


def test_an_unknown_dtype_names_the_column() -> None:
    with pytest.raises(TypeError, match="column 'a': 'foo' is no known dtype"):
        ColumnSchema("a", dtype="foo")
