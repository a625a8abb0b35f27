"""Schemas in files: ``schema.pbtxt`` of tensorflow-metadata and ``schema.json`` of Transformers4Rec."""

from __future__ import annotations

import json
from ctypes import c_float
from os import PathLike
from pathlib import Path

from merlin_models_torch.schema.codec import features_to_schema, schema_to_features, without_metadata
from merlin_models_torch.schema.errors import SchemaError
from merlin_models_torch.schema.schema import Schema
from merlin_models_torch.storage import whole_file

DATA_SUFFIXES = (".parquet", ".parq", ".pq")
_NAMES = ("schema.pbtxt", "schema.json", ".merlin/schema.json")
_STRUCT = "type.googleapis.com/google.protobuf.Struct"


def load(path: str | PathLike[str]) -> Schema:
    """Read a schema file; see :meth:`Schema.load`."""
    file = _file_to_read(Path(path))
    if file.suffix in DATA_SUFFIXES:
        return Schema.from_parquet(file)
    try:
        text = file.read_text(encoding="utf-8")
        return from_json(text) if file.suffix == ".json" else from_pbtxt(text)
    except (OSError, UnicodeDecodeError, SchemaError) as error:
        raise SchemaError(
            f"{file} is no usable schema file, {error}: write it again by schema.save(...), or infer "
            "the schema from the data by Schema.from_parquet(...)"
        ) from error


def save(schema: Schema, path: str | PathLike[str]) -> None:
    """Write a schema file; see :meth:`Schema.save`."""
    file = Path(path)
    if file.is_dir() or not file.suffix:
        file = file / "schema.pbtxt"
    if file.suffix not in (".pbtxt", ".json"):
        raise SchemaError(f"{file} should end in .pbtxt or .json, the two kinds of schema files there are")
    text = to_json(schema) if file.suffix == ".json" else to_pbtxt(schema)
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def from_json(text: str) -> Schema:
    """The schema in the text of a ``schema.json``.

    Raises:
        SchemaError: if there is none in it.
    """
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise SchemaError(f"it is not whole JSON ({error})") from error
    return features_to_schema(content)


def to_json(schema: Schema) -> str:
    """The text of a ``schema.json``.

    Properties and types that have no place of their own are in comments, which merlin-core passes over.
    """
    features = [without_metadata(feature) for feature in schema_to_features(schema)["feature"]]
    return json.dumps({"feature": features}, indent=2, ensure_ascii=False) + "\n"


def from_pbtxt(text: str) -> Schema:
    """The schema in the text of a ``schema.pbtxt``.

    Raises:
        SchemaError: if there is none in it.
    """
    from google.protobuf import json_format, struct_pb2, text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    del struct_pb2  # imported to make Struct known, in which properties are written
    try:
        message = text_format.Parse(text, schema_pb2.Schema())
        content = json_format.MessageToDict(message)
    except (text_format.ParseError, json_format.Error, TypeError, ValueError, RecursionError) as error:
        raise SchemaError(f"it is not whole text of a tensorflow-metadata schema ({error})") from error
    return features_to_schema(content)


def to_pbtxt(schema: Schema) -> str:
    """The text of a ``schema.pbtxt``. It holds float domains in 32 bits.

    Raises:
        SchemaError: if it cannot hold the schema.
    """
    from google.protobuf import json_format, struct_pb2, text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    del struct_pb2
    content = schema_to_features(schema)
    message = schema_pb2.Schema()
    for feature in content["feature"]:
        annotation = feature["annotation"]
        annotation["extraMetadata"] = [
            {"@type": _STRUCT, "value": value} for value in annotation["extraMetadata"]
        ]
        if domain := feature.get("floatDomain"):
            feature["floatDomain"] = {key: _narrow(value) for key, value in domain.items()}
        try:
            json_format.ParseDict(feature, message.feature.add())
        except json_format.ParseError as error:
            raise SchemaError(
                f"column {feature['name']!r} cannot be written to a schema.pbtxt: {error}"
            ) from error
    return str(text_format.MessageToString(message))


def _file_to_read(path: Path) -> Path:
    if path.suffix in DATA_SUFFIXES:
        return _beside(path.parent) or path
    if path.is_dir():
        if file := _beside(path, above=any(p.suffix in DATA_SUFFIXES for p in path.iterdir())):
            return file
        raise SchemaError(
            f"the folder {path} has neither schema.pbtxt nor schema.json: infer a schema by "
            "Schema.from_parquet(...) and save it there"
        )
    if not path.is_file():
        raise SchemaError(
            f"there is no schema file {path}: check the path, or infer a schema by Schema.from_parquet(...)"
        )
    return path


def _beside(folder: Path, *, above: bool = True) -> Path | None:
    """The schema file in a folder or, of data, in the one above it: where merlin-core's Dataset looks."""
    folders = (folder, folder.parent) if above else (folder,)
    places = (inside / name for inside in folders for name in _NAMES)
    return next((place for place in places if place.is_file()), None)


def _narrow(value: object) -> object:
    """A number in 32 bits; protobuf refuses one that only rounding brings within their range."""
    return c_float(value).value if isinstance(value, float) else value
