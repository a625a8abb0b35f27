"""Schemas of other libraries, by what they look like; tests/interop has the real ones."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from merlin_models_torch.schema import (
    ColumnSchema,
    Domain,
    Schema,
    SchemaError,
    Shape,
    Tags,
    TagSet,
    as_column,
    as_schema,
)


class _Tags(Enum):
    ITEM = "item"
    ID = "id"


@dataclass
class _Column:
    """Looks like a column of merlin-core."""

    name: str
    tags: list[Any] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)
    dtype: Any = field(default_factory=lambda: SimpleNamespace(name="int32", element_type="int"))
    is_list: bool = False
    is_ragged: bool = False
    shape: Shape = field(default_factory=Shape)


OURS = ColumnSchema(
    "a", [Tags.ITEM_ID, "mine"], {"domain": {"min": 0, "max": 4}, "value_count": {"max": 3}}, "int32"
)


def test_a_schema_of_ours_is_kept() -> None:
    schema = Schema([OURS])
    assert as_schema(schema) is schema
    assert as_column(OURS) is OURS


def test_columns_like_those_of_merlin_core() -> None:
    properties = {"domain": {"min": 0, "max": 4}, "value_count": {"min": 0, "max": 3}}
    theirs = _Column(
        "a", [_Tags.ITEM, _Tags.ID, "mine"], properties, is_list=True, is_ragged=True, shape=OURS.shape
    )
    assert as_schema(SimpleNamespace(column_schemas={"a": theirs})) == Schema([OURS])
    assert as_schema([theirs, "b"]) == as_schema({"a": theirs, "b": ColumnSchema("b")}) == Schema([OURS, "b"])
    assert as_column(_Column("b")).dims is None


def _message(**parts: Any) -> SimpleNamespace:
    empty = SimpleNamespace(name="", min=0, max=0, is_categorical=False)
    parts = {"value_count": empty, "int_domain": empty, "float_domain": empty, "properties": {}, **parts}
    parts.setdefault("shape", SimpleNamespace(dim=[]))
    tags = parts.pop("tags", [])
    return SimpleNamespace(tags=tags, annotation=SimpleNamespace(tag=tags), **parts)


def test_messages_like_those_of_merlin_standard_lib() -> None:
    items = _message(
        name="item",
        type=2,
        tags=["item_id"],
        properties={"k": 1},
        int_domain=SimpleNamespace(name="things", min=1, max=9, is_categorical=True),
        value_count=SimpleNamespace(min=1, max=4),
    )
    vector = _message(name="v", type=3, shape=SimpleNamespace(dim=[SimpleNamespace(size=4)]))
    schema = as_schema(SimpleNamespace(column_schemas=[items, vector]))
    assert schema["item"].tags == TagSet([Tags.ITEM_ID, Tags.CATEGORICAL])
    assert schema["item"].int_domain == Domain(1, 9, "things")
    assert schema["item"].value_count == Domain(1, 4)
    assert schema["item"].properties["k"] == 1
    assert (schema["v"].dims, schema["v"].dtype.name, schema["v"].float_domain) == (
        ((0, None), 4),
        "float64",
        None,
    )


def test_files_and_their_content(tmp_path: Path) -> None:
    Schema([OURS]).save(tmp_path / "schema.json")
    assert as_schema(tmp_path) == as_schema(str(tmp_path / "schema.json")) == Schema([OURS])
    assert as_schema({"feature": [{"name": "b"}]}) == Schema(["b"])
    with pytest.raises(SchemaError, match="feature number 1 has no name"):
        as_schema({"feature": [{}]})


def test_what_is_no_schema_is_refused() -> None:
    with pytest.raises(TypeError, match=r"a schema is needed .* not int"):
        as_schema(3)
    with pytest.raises(TypeError, match=r"a column is a name or a ColumnSchema .* not int 3"):
        as_schema([3])
