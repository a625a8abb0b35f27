"""Schemas: order, selection by name and tag, sums, differences, ids."""

import pytest

from merlin_models_torch.schema import ColumnSchema, Schema, SchemaError, Tags, TagSet

ITEM = ColumnSchema(
    "item",
    [Tags.ITEM_ID, Tags.CATEGORICAL],
    {"domain": {"min": 0, "max": 9, "name": "things"}},
    "int64",
    is_list=True,
)
GENRE = ColumnSchema("genre", [Tags.ITEM, "Mine"], {"domain": {"min": 0, "max": 3}}, "int32")
USER = ColumnSchema("user", [Tags.USER_ID])
PRICE = ColumnSchema("price", [Tags.CONTINUOUS], {"domain": {"min": 0, "max": 3}}, "float32")
SCHEMA = Schema([ITEM, GENRE, USER, PRICE])


def names(schema: Schema) -> list[str]:
    return schema.column_names


def test_made_from_lists_names_and_dicts() -> None:
    assert Schema(["a", ITEM]) == Schema({"a": ColumnSchema("a"), "item": ITEM})
    assert names(Schema()) == []
    assert [column.name for column in SCHEMA] == names(SCHEMA) == ["item", "genre", "user", "price"]
    with pytest.raises(TypeError, match="a list of columns or a dict of them by name, not int"):
        Schema(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        (Tags.ITEM_ID, ["item"]),
        ([Tags.ITEM_ID], ["item"]),
        ("item_id", ["item"]),
        (Tags.ITEM, ["item", "genre"]),
        ("Mine", ["genre"]),
        ("mine", []),
        (Tags.ID, ["item", "user"]),
        ([Tags.ITEM_ID, Tags.USER_ID], ["item", "genre", "user"]),
        ((), []),
        (TagSet(["user", "continuous"]), ["user", "price"]),
    ],
)
def test_by_tag(tags: object, found: list[str]) -> None:
    assert names(SCHEMA.select_by_tag(tags)) == found  # type: ignore[arg-type]
    rest = [name for name in names(SCHEMA) if name not in found]
    assert names(SCHEMA.excluding_by_tag(tags)) == rest  # type: ignore[arg-type]
    assert names(SCHEMA.remove_by_tag(tags)) == rest  # type: ignore[arg-type]


def test_by_all_tags() -> None:
    assert names(SCHEMA.select_by_tag([Tags.ITEM, Tags.ID], pred_fn=all)) == ["item"]
    assert names(SCHEMA.excluding_by_tag([Tags.ITEM, Tags.ID], pred_fn=all)) == ["genre", "user", "price"]


def test_by_name() -> None:
    assert names(SCHEMA.select_by_name(["user", "unknown", "item"])) == ["user", "item"]
    assert names(SCHEMA.select_by_name("user")) == ["user"]
    assert names(SCHEMA.excluding_by_name(["user", "unknown"])) == ["item", "genre", "price"]
    assert names(SCHEMA.without("user")) == names(SCHEMA.remove_col("user")) == ["item", "genre", "price"]


def test_one_column() -> None:
    assert SCHEMA["item"] is SCHEMA.get("item") is SCHEMA.first is ITEM
    assert SCHEMA.get("unknown") is None
    assert SCHEMA.get("unknown", USER) is USER
    assert names(SCHEMA[["user", "item"]]) == ["user", "item"]
    assert "item" in SCHEMA
    assert ITEM in SCHEMA
    assert ITEM.with_name("b") not in SCHEMA


def test_an_unknown_column_is_a_key_error_that_reads_well() -> None:
    with pytest.raises(KeyError) as caught:
        SCHEMA["unknown"]
    assert isinstance(caught.value, SchemaError)
    assert str(caught.value) == (
        "there is no column 'unknown' in the schema, only ['item', 'genre', 'user', 'price']: "
        "check the name, or add it to the schema"
    )
    with pytest.raises(TypeError, match="by name or a list of names, not by int 0"):
        SCHEMA[0]  # type: ignore[call-overload]


def test_first_of_nothing() -> None:
    with pytest.raises(ValueError, match="there are no columns in this schema to take the first of"):
        _ = Schema().first


def test_a_column_can_be_put_in_without_changing_copies() -> None:
    copy = SCHEMA.copy()
    copy["item"] = ITEM.with_tags("mine")
    assert "mine" in copy["item"].tags
    assert "mine" not in SCHEMA["item"].tags
    assert copy != SCHEMA


def test_equality_ignores_order() -> None:
    assert SCHEMA == SCHEMA.copy() == Schema([PRICE, USER, GENRE, ITEM])
    assert Schema([ITEM]) != SCHEMA
    assert SCHEMA != 3


def test_sums_put_common_columns_where_the_second_has_them() -> None:
    total = Schema([ITEM, GENRE]) + Schema([USER, ITEM.with_tags("mine")])
    assert names(total) == ["genre", "user", "item"]
    assert total["item"] == ITEM.with_tags("mine")
    assert SCHEMA + None == None + SCHEMA == SCHEMA
    assert sum([Schema([ITEM]), Schema([USER])]) == Schema([ITEM, USER])  # type: ignore[comparison-overlap]
    with pytest.raises(TypeError, match="unsupported operand"):
        SCHEMA + 5  # type: ignore[operator]


def test_differences() -> None:
    assert names(SCHEMA - Schema(["item", "other"])) == ["genre", "user", "price"]
    assert SCHEMA - None == SCHEMA
    with pytest.raises(TypeError, match="unsupported operand"):
        SCHEMA - 5  # type: ignore[operator]


def test_cardinality_counts_padding() -> None:
    assert SCHEMA.cardinality("item") == 10
    assert SCHEMA.cardinality("genre") == 4


@pytest.mark.parametrize("name", ["user", "price"])
def test_cardinality_needs_an_int_domain(name: str) -> None:
    with pytest.raises(SchemaError, match=f"column '{name}' .* has no int domain, .*Schema.from_parquet"):
        SCHEMA.cardinality(name)


def test_domain_names() -> None:
    assert [SCHEMA.domain_name(name) for name in names(SCHEMA)] == ["things", "genre", "user", "price"]


def test_repr_shows_each_column_on_a_line() -> None:
    lines = repr(SCHEMA).splitlines()
    assert len(lines) == 6
    assert lines[3].startswith("    ColumnSchema(name='user', tags=TagSet(['user', 'id'])")
