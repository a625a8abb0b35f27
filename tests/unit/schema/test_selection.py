"""One way to say which columns are meant."""

from types import SimpleNamespace

import pytest

from merlin_models_torch.schema import ColumnSchema, Schema, SchemaError, Tags, TagSet

SCHEMA = Schema(
    [
        ColumnSchema("item", [Tags.ITEM_ID]),
        ColumnSchema("genre", [Tags.ITEM]),
        ColumnSchema("user", [Tags.USER_ID], dtype="int64"),
        ColumnSchema("price", [Tags.CONTINUOUS], dtype="float32"),
    ]
)


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        ("genre", ["genre"]),
        ("*", ["item", "genre", "user", "price"]),
        (Tags.ITEM_ID, ["item"]),
        (Tags.TIME, []),
        ([Tags.ITEM_ID, Tags.USER_ID], ["item", "user"]),
        (TagSet([Tags.ITEM, Tags.ID]), ["item"]),
        (["price", Tags.USER], ["user", "price"]),
        (lambda column: column.dtype.is_float, ["price"]),
        (SCHEMA["genre"], ["genre"]),
        (Schema(["price", "item"]), ["item", "price"]),
        ([[Tags.USER], ("genre",), lambda column: column.name == "price"], ["genre", "user", "price"]),
        ([], []),
        (SimpleNamespace(all=False, names=["genre", "unknown"], tags=[Tags.USER]), ["genre", "user"]),
        (SimpleNamespace(all=True, names=[], tags=[]), ["item", "genre", "user", "price"]),
    ],
)
def test_every_kind(selection: object, found: list[str]) -> None:
    assert SCHEMA.select(selection).column_names == found  # type: ignore[arg-type]
    rest = [name for name in SCHEMA.column_names if name not in found]
    assert SCHEMA.excluding(selection).column_names == rest  # type: ignore[arg-type]


def test_none_selects_all_and_excludes_none() -> None:
    assert SCHEMA.select(None) is SCHEMA.excluding(None) is SCHEMA


def test_unknown_names_are_errors_and_tags_are_hinted_at() -> None:
    with pytest.raises(
        SchemaError, match=r"no column 'item_id' .* \(for the tag, write Tags.ITEM_ID\), or add it"
    ):
        SCHEMA.select(["genre", "item_id"])
    with pytest.raises(SchemaError, match="no column 'other' in the schema, only"):
        SCHEMA.excluding(Schema(["other"]))


def test_other_kinds_are_errors() -> None:
    with pytest.raises(TypeError, match="not by int 3"):
        SCHEMA.select(3)  # type: ignore[arg-type]
