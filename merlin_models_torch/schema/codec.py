"""One column as a feature of tensorflow-metadata, in the JSON form of its protocol buffer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from merlin_models_torch.schema.column import ColumnSchema
from merlin_models_torch.schema.dtypes import DType, ElementType, dtype
from merlin_models_torch.schema.errors import SchemaError
from merlin_models_torch.schema.schema import Schema
from merlin_models_torch.schema.tags import Tags

JsonObject = dict[str, Any]

_FEATURE_TYPES = {
    ElementType.INT: "INT",
    ElementType.UINT: "INT",
    ElementType.FLOAT: "FLOAT",
    ElementType.STRING: "BYTES",
}
_TYPE_NUMBERS = {0: None, 1: "BYTES", 2: "INT", 3: "FLOAT", 4: "STRUCT"}
_DOMAINS = {"INT": "intDomain", "FLOAT": "floatDomain"}
_DEFAULTS = {"INT": "int64", "FLOAT": "float64", "BYTES": "str", "STRUCT": "struct", None: "unknown"}
# merlin-core keeps these among the properties of a column in a file; "_dtype" is ours, for types it forgets.
_RESERVED = ("_dims", "is_list", "is_ragged", "dtype_item_size", "_dtype")
_EXACT = 2**53


def schema_to_features(schema: Schema) -> JsonObject:
    """The whole schema as JSON values.

    Raises:
        SchemaError: if a property cannot be written; names column and property.
    """
    return {"feature": [_feature(column) for column in schema]}


def features_to_schema(content: object) -> Schema:
    """The schema that JSON values describe; both ``intDomain`` and ``int_domain`` are understood.

    Raises:
        SchemaError: if they describe none; names the column and what is wrong with it.
    """
    features = content.get("feature") if isinstance(content, Mapping) else None
    if not isinstance(features, list) or not features:
        raise SchemaError("it has no column: there should be a list of them under 'feature'")
    schema = Schema()
    for position, feature in enumerate(features):
        name = feature.get("name") if isinstance(feature, Mapping) else None
        if not isinstance(name, str) or not name:
            raise SchemaError(f"feature number {position + 1} has no name")
        if name in schema.column_schemas:
            raise SchemaError(f"column {name!r} is in it twice")
        try:
            schema[name] = _column(name, feature)
        except SchemaError:
            raise
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            text = str(error)
            raise SchemaError(text if text.startswith("column ") else f"column {name!r}: {text}") from error
    return schema


def _feature(column: ColumnSchema) -> JsonObject:
    feature: JsonObject = {"name": column.name}
    counts = column.properties.get("value_count")
    if counts:
        feature["valueCount"] = {key: str(counts[key]) for key in ("min", "max") if counts.get(key)}
    kind = _FEATURE_TYPES.get(column.dtype.element_type)
    if kind:
        feature["type"] = kind
    extra = {key: value for key, value in column.properties.items() if key not in (*_RESERVED, "value_count")}
    domain = column.properties.get("domain") or {}
    if domain.get("max") is not None and kind in _DOMAINS:
        feature[_DOMAINS[kind]] = _domain_out(column, domain)
        del extra["domain"]
    extra["_dims"] = [list(dim) if isinstance(dim, tuple) else dim for dim in column.dims or ()]
    extra["is_list"], extra["is_ragged"] = column.is_list, column.is_ragged
    if column.dtype.element_size:
        extra["dtype_item_size"] = column.dtype.element_size
    if _read_dtype(kind, column.dtype.element_size) != column.dtype.without_shape:
        extra["_dtype"] = column.dtype.name
    metadata = {key: _plain(column.name, key, value) for key, value in extra.items()}
    tags = [tag.value if isinstance(tag, Tags) else tag for tag in column.tags]
    feature["annotation"] = {**({"tag": tags} if tags else {}), "extraMetadata": [metadata]}
    return feature


def _domain_out(column: ColumnSchema, domain: Mapping[str, Any]) -> JsonObject:
    written: JsonObject = {"name": domain["name"]} if domain.get("name") else {}
    if column.dtype.is_float:
        written |= {key: _float_out(domain[key]) for key in ("min", "max") if domain.get(key) is not None}
        return written
    if domain.get("min"):
        written["min"] = str(_whole(domain["min"], f"column {column.name!r}: the min of its domain"))
    written["max"] = str(_whole(domain["max"], f"column {column.name!r}: the max of its domain"))
    if Tags.CATEGORICAL in column.tags:
        written["isCategorical"] = True
    return written


def _float_out(value: Any) -> float | str:
    number = float(value)
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return number


def _plain(column: str, key: str, value: Any) -> Any:
    """The value if JSON can hold it."""
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, Mapping):
        return {str(k): _plain(column, f"{key}.{k}", v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(column, key, v) for v in value]
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, str) else value
    if (
        isinstance(value, (int, float))
        and math.isfinite(value)
        and (isinstance(value, float) or abs(value) <= _EXACT)
    ):
        return value
    raise SchemaError(
        f"column {column!r} has the property {key!r} of {value!r}, which a schema file cannot hold: "
        "use text, finite numbers (whole ones up to 2**53), lists and dicts of them, or leave it out"
    )


def _column(name: str, feature: Mapping[str, Any]) -> ColumnSchema:
    kind = feature.get("type")
    kind = _TYPE_NUMBERS.get(kind, "?") if isinstance(kind, int) else kind
    kind = None if kind == "TYPE_UNKNOWN" else kind
    if kind not in _DEFAULTS:
        raise SchemaError(f"column {name!r} has type {kind!r}: it should be INT, FLOAT or BYTES")
    annotation = _object(name, feature, "annotation")
    tags = annotation.get("tag") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise SchemaError(f"column {name!r} has tags {tags!r}: they should be a list of strings")
    properties = _extra_metadata(name, annotation)
    if kind in _DOMAINS and _key(feature, _DOMAINS[kind]) is not None:
        written = _object(name, feature, _DOMAINS[kind])
        domain = _domain_in(name, written, kind)
        if domain:
            properties["domain"] = domain
        if _key(written, "isCategorical"):
            tags = [*tags, Tags.CATEGORICAL]
    flags = {key: properties.pop(key, None) for key in _RESERVED}
    if not isinstance(flags["_dims"] or [], list):
        raise SchemaError(f"column {name!r} has _dims of {flags['_dims']!r}: they should be a list")
    dims = [tuple(dim) if isinstance(dim, list) else dim for dim in flags["_dims"] or []]
    if not dims:
        dims = _dims_of_shape(name, feature)
    if dims:
        properties.pop("value_count", None)
        flags["is_list"] = flags["is_ragged"] = None
    else:
        counts = _counts_in(name, _object(name, feature, "valueCount"))
        if counts:
            properties["value_count"] = counts
            flags["is_list"] = flags["is_ragged"] = None
    return ColumnSchema(
        name,
        tags,
        properties,
        _read_dtype(kind, flags["dtype_item_size"], flags["_dtype"]),
        is_list=flags["is_list"],
        is_ragged=flags["is_ragged"],
        dims=dims or None,
    )


def _read_dtype(kind: str | None, size: Any, name: Any = None) -> DType:
    usual = _DEFAULTS[kind]
    stem = {"INT": "int", "FLOAT": "float"}.get(kind or "")
    if stem and size in ((8, 16, 32, 64) if stem == "int" else (16, 32, 64)):
        usual = f"{stem}{size}"
    found = dtype(usual)
    if name is None:
        return found
    named = dtype(name)
    # Another program may have changed the type and kept our note of the old one.
    same = _FEATURE_TYPES.get(named.element_type) == kind and named.element_size == (size or None)
    return named if same else found


def _domain_in(name: str, written: Mapping[str, Any], kind: str) -> JsonObject:
    """Bounds and name. A bound of 0 is often not written: an absent one is 0 if the other is there."""
    number = _whole if kind == "INT" else _number
    bounds = {
        key: number(written[key], f"column {name!r}: the {key} of its domain")
        for key in ("min", "max")
        if written.get(key) is not None
    }
    if len(bounds) == 2 and bounds["min"] > bounds["max"]:
        raise SchemaError(f"column {name!r} has a domain from {bounds['min']} to {bounds['max']}: swap them")
    if "max" in bounds and (bounds["max"] >= 0 or "min" in bounds):
        bounds = {"min": bounds.get("min", 0), "max": bounds["max"]}
    elif "min" in bounds and bounds["min"] < 0:
        bounds["max"] = 0
    domain: JsonObject = dict(bounds)
    if written.get("name"):
        domain["name"] = str(written["name"])
    return domain


def _counts_in(name: str, written: Mapping[str, Any]) -> JsonObject:
    counts = {
        key: _whole(written[key], f"column {name!r}: the {key} of its value count")
        for key in ("min", "max")
        if written.get(key) is not None
    }
    return {key: count for key, count in counts.items() if count > 0}


def _dims_of_shape(name: str, feature: Mapping[str, Any]) -> list[Any]:
    """From ``shape`` or ``value_counts``, which merlin-core does not write but tensorflow-metadata has."""
    nested = _object(name, feature, "valueCounts").get("valueCount") or []
    counts = [_counts_in(name, one) for one in nested]
    if counts:
        return [None, *((one.get("min", 0), one.get("max")) for one in counts)]
    entries = _object(name, feature, "shape").get("dim") or []
    sizes = [_whole(one.get("size", 0), f"column {name!r}: a size of its shape") for one in entries]
    return [None, *sizes] if sizes not in ([], [1]) else []


def _extra_metadata(name: str, annotation: Mapping[str, Any]) -> JsonObject:
    entries = _key(annotation, "extraMetadata") or _commented(annotation)
    if not isinstance(entries, list) or len(entries) > 1:
        raise SchemaError(f"column {name!r} has several extra_metadata, there should be one: merge them")
    entry = entries[0] if entries else {}
    if isinstance(entry, Mapping) and "@type" in entry:
        entry = entry.get("value")
    if not isinstance(entry, Mapping):
        raise SchemaError(f"column {name!r} has extra_metadata that is no Struct: leave it out")
    return {key: _tidy(value) for key, value in entry.items()}


def _commented(annotation: Mapping[str, Any]) -> list[JsonObject]:
    """Properties in the last comment, where Transformers4Rec has them; its JSON has no extra_metadata."""
    comments = annotation.get("comment")
    try:
        content = json.loads(comments[-1]) if isinstance(comments, list) and comments else None
    except (TypeError, ValueError, RecursionError):
        return []
    return [content] if isinstance(content, dict) else []


def without_metadata(feature: JsonObject) -> JsonObject:
    """The feature in the form that Transformers4Rec reads: what only extra_metadata says is in a comment."""
    annotation = dict(feature["annotation"])
    metadata = annotation.pop("extraMetadata")
    bare = {**feature, "annotation": annotation}
    whole, rest = (features_to_schema({"feature": [one]}).first for one in (feature, bare))
    if (whole, whole.dims) != (rest, rest.dims):
        annotation["comment"] = [json.dumps(metadata[0], ensure_ascii=False)]
    return bare


def _tidy(value: Any) -> Any:
    """A Struct has only floating-point numbers; whole ones become ints again."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _tidy(one) for key, one in value.items()}
    return [_tidy(one) for one in value] if isinstance(value, list) else value


def _key(content: Mapping[str, Any], key: str) -> Any:
    if key in content:
        return content[key]
    return content.get("".join(f"_{c.lower()}" if c.isupper() else c for c in key))


def _object(name: str, content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = _key(content, key)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise SchemaError(f"column {name!r} has {key} of {found!r}: it should be an object")
    return found


def _whole(value: Any, what: str) -> int:
    try:
        number = int(value)
        same = isinstance(value, str) or number == value
    except (ValueError, TypeError, OverflowError):
        same = False
    if not same or isinstance(value, bool):
        raise SchemaError(f"{what} is {value!r}: it should be a whole number")
    return number


def _number(value: Any, what: str) -> float:
    try:
        number = float(value)
    except (ValueError, TypeError):
        number = math.nan
    if math.isnan(number) or isinstance(value, bool):
        raise SchemaError(f"{what} is {value!r}: it should be a number")
    return number
