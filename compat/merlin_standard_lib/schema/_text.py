"""Columns as features of tensorflow-metadata, with the fields that the core does not have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from merlin_models_torch import schema as core
from merlin_models_torch.schema.codec import features_to_schema, schema_to_features, without_metadata

Feature = dict[str, Any]
_OURS = ("name", "type", "value_count", "value_counts", "shape", "int_domain", "float_domain", "annotation")


@cache
def other_fields() -> dict[str, str]:
    """Fields of a feature beside those that the core reads: names in Python, and in JSON."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    fields = schema_pb2.Feature.DESCRIPTOR.fields
    return {field.name: field.json_name for field in fields if field.name not in _OURS}


def others_of(feature: Mapping[str, Any]) -> Feature:
    """Those of them that a feature in JSON has, however it spells them."""
    found = {}
    for name, spelled in other_fields().items():
        for key in (spelled, name):
            if key in feature:
                found[spelled] = feature[key]
    return found


def as_json(value: Any) -> Any:
    """A field's value, a message or a plain one, as JSON has it."""
    from google.protobuf import json_format

    if hasattr(value, "DESCRIPTOR"):
        return json_format.MessageToDict(value)
    return [as_json(one) for one in value] if isinstance(value, list | tuple) else value


def field_of(others: Feature, name: str) -> Any:
    """A field's value; the message without content, or the default, where it is not set."""
    from google.protobuf import json_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    spelled = other_fields()[name]
    given = {spelled: others[spelled]} if spelled in others else {}
    value = getattr(json_format.ParseDict(given, schema_pb2.Feature()), name)
    return list(value) if name.endswith("in_environment") else value


def feature_of(column: Any) -> Feature:
    """A column in JSON: without what the core notes beside it, where the column can be read without it."""
    (whole,) = schema_to_features(core.Schema([column]))["feature"]
    plain = {key: value for key, value in whole.items() if key != "annotation"}
    if tags := whole["annotation"].get("tag"):
        whole["annotation"]["tag"] = tags = list(column.annotation.tag)
        plain["annotation"] = {"tag": tags}
    if column.others.get("_shape") and column.shape.dim:
        plain.pop("valueCount", None)
        plain["shape"] = {"dim": [{"size": str(dim.size)} for dim in column.shape.dim]}
    if domain := plain.get("floatDomain"):
        flags = {"disallow_nan": "disallowNan", "disallow_inf": "disallowInf", "is_embedding": "isEmbedding"}
        set_flags = {key: True for flag, key in flags.items() if getattr(column.float_domain, flag)}
        plain["floatDomain"] = {key: value for key, value in domain.items() if value} | set_flags
    chosen = plain if same_column(plain, column) else whole
    return {**chosen, **said(column.others)}


def said(others: Feature) -> Feature:
    """The fields of a file, without what only says how the file had put it."""
    return {key: value for key, value in others.items() if not key.startswith("_")}


def spelled(tags: Any, given: Any) -> list[str]:
    """Tags as a file or program gave them ("item_id" for "item" and "id"), if the column has them still."""
    known = core.TagSet(list(given))
    if any(tag not in tags for tag in known):
        given, known = (), core.TagSet()
    return [*given, *(getattr(tag, "value", tag) for tag in tags if tag not in known)]


def same_column(feature: Feature, column: Any) -> bool:
    """Whether a feature says all of a column; not how wide its numbers are, which no file of 23.12.0 says."""
    read = features_to_schema({"feature": [feature]}).first
    flags = ("disallow_nan", "disallow_inf", "is_embedding")
    own = {key: value for key, value in column.properties.items() if key not in flags}
    return (
        (set(read.tags), read.dtype.element_type, read.dims)
        == (set(column.tags), column.dtype.element_type, column.dims)
        and _domain(read.properties) == _domain(own)
        and {*read.properties, "domain"} == {*own, "domain"}
    )


def _domain(properties: Mapping[str, Any]) -> tuple[Any, ...]:
    domain = properties.get("domain") or {}
    return domain.get("min") or 0, domain.get("max") or 0, domain.get("name")


def json_of(columns: Any) -> Feature:
    """A schema in JSON; what has no place of its own is in comments."""
    features = [feature_of(column) for column in columns]
    return {"feature": [without_metadata(f) if _noted(f) else f for f in features]} if features else {}


def text_of(column: Any) -> str:
    """A column as lines of a ``schema.pbtxt``, between ``feature {`` and ``}``."""
    from google.protobuf import json_format, struct_pb2, text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    del struct_pb2  # imported to make Struct known, in which properties are written
    feature = json.loads(json.dumps(feature_of(column)))
    if _noted(feature):
        kind = "type.googleapis.com/google.protobuf.Struct"
        noted = feature["annotation"]["extraMetadata"]
        feature["annotation"]["extraMetadata"] = [{"@type": kind, "value": value} for value in noted]
    return str(text_format.MessageToString(json_format.ParseDict(feature, schema_pb2.Feature())))


def _noted(feature: Feature) -> bool:
    return "extraMetadata" in feature.get("annotation", {})
