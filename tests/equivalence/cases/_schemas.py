"""Schemas of ``merlin_standard_lib``: columns read, made by hand, changed in place and written."""

from __future__ import annotations

import json
from typing import Any

from merlin_standard_lib import ColumnSchema, Schema
from merlin_standard_lib.proto.schema_bp import (
    FeaturePresence,
    FeatureType,
    FloatDomain,
    IntDomain,
    ValueCount,
)

from tests.equivalence.side import Side

TEXT = """
feature {
  name: "item_id" value_count { min: 1 max: 20 } type: INT presence { min_fraction: 0.5 }
  int_domain { name: "item_id" min: 1 max: 51 is_categorical: true }
  annotation { tag: "item_id" tag: "list" tag: "categorical" tag: "item" }
}
feature {
  name: "price" type: FLOAT float_domain { name: "price" max: 2.9 disallow_nan: true }
  value_count { min: 2 max: 2 } annotation { tag: "continuous" tag: "list" }
}
feature { name: "vector" type: FLOAT shape { dim { size: 4 } } annotation { tag: "continuous" } }
feature { name: "word" type: BYTES string_domain { name: "w" value: "a" value: "b" } annotation { tag: "q" } }
"""
JSON = """{"feature": [
 {"name": "user", "type": "INT", "deprecated": true, "annotation": {"tag": ["user_id", "categorical"]},
  "intDomain": {"name": "user", "max": "10000", "isCategorical": true}},
 {"name": "age", "type": "FLOAT", "floatDomain": {"name": "age", "min": -3.0, "max": 3.0},
  "notInEnvironment": ["serving"], "driftComparator": {"infinityNorm": {"threshold": 0.1}}},
 {"name": "count", "type": "INT", "presence": {"minFraction": 1.0, "minCount": "1"}}
]}"""
MESSAGES: dict[str, tuple[str, ...]] = {
    "int_domain": ("min", "max", "is_categorical"),
    "float_domain": ("min", "max", "disallow_nan", "disallow_inf", "is_embedding"),
    "presence": ("min_fraction", "min_count"),
    "string_domain": ("name",),
}
PLAIN = ("name", "deprecated", "domain", "in_environment", "not_in_environment")


def note(side: Side, name: str, column: Any) -> None:
    """What a column says of itself, in fields and in both kinds of text."""
    for field in PLAIN:
        side.value(f"{name}/{field}", getattr(column, field))
    for message, fields in MESSAGES.items():
        for field in fields:
            side.value(f"{name}/{message}/{field}", getattr(getattr(column, message), field))
    side.value(f"{name}/type", [int(column.type), str(FeatureType(column.type))])
    side.value(f"{name}/words", list(column.string_domain.value))
    side.value(f"{name}/tags", sorted(column.annotation.tag))
    side.value(f"{name}/json", json.loads(column.to_json()))
    side.value(f"{name}/dict", column.to_dict())
    side.value(f"{name}/text", column.to_proto_text())


def schema_files(side: Side) -> None:
    """Both kinds of files are read and written again as they were, field by field."""
    read = {"text": Schema().from_proto_text(TEXT), "json": Schema().from_json(JSON)}
    for name, schema in read.items():
        for column in schema.column_schemas:
            note(side, f"{name}/{column.name}", column)
        side.value(f"{name}/whole-json", json.loads(schema.to_json()))
        side.value(f"{name}/whole-dict", schema.to_dict())
        side.value(f"{name}/whole-text", schema.to_proto_text())
        side.value(f"{name}/again", Schema().from_json(schema.to_json()) == schema)
    again = Schema().from_proto_text(read["text"].to_proto_text())
    side.value("text/read-again", again == read["text"])


def schema_columns(side: Side) -> None:
    """Columns made by hand, lists of them, and parts that are changed in place."""
    counts = ValueCount(min=1, max=4)
    made = {
        "ids": ColumnSchema.create_categorical("a", 9, min_index=2, value_count=counts),
        "vector": ColumnSchema.create_continuous("b", min_value=-1, max_value=2, shape=[3]),
        "finite": ColumnSchema.create_continuous("g", min_value=-1, max_value=2, disallow_nan=True),
        "whole": ColumnSchema.create_continuous("c", is_float=False, min_value=0, max_value=2),
        "parts": ColumnSchema(
            "d",
            type=FeatureType.INT,
            int_domain=IntDomain(name="e", min=1, max=7),
            value_count=ValueCount(2, 2),
            presence=FeaturePresence(min_fraction=0.5),
        ),
        "bare": ColumnSchema(name="f"),
    }
    for name, column in made.items():
        note(side, name, column)
    schema = Schema(list(made.values()))
    side.value("first", schema.column_schemas[0].name)
    side.value("some", [column.name for column in schema.feature[1:3]])
    side.value("sorted", [one.name for one in sorted(schema.column_schemas, key=lambda c: c.name)])
    changed = schema.copy()
    changed.feature[0].int_domain.max = 70
    changed.feature[0].value_count.max = 8
    changed.feature[0].annotation.tag.append("mine")
    changed.feature[1].float_domain = FloatDomain(name="b", min=0.0, max=9.0)
    changed.feature[3].name = "renamed"
    changed.feature[5].type = FeatureType.FLOAT
    changed.feature[4].presence = FeaturePresence(min_count=3)
    changed.feature.append(ColumnSchema("new"))
    side.value("names", changed.column_names)
    for number, column in enumerate(changed):
        note(side, f"changed/{number}", column)
    side.value("not the first", schema.column_names)
    side.value("selected", changed.select_by_tag("mine").column_names)
