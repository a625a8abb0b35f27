"""``merlin.schema.io.tensorflow_metadata`` where merlin-core is not installed."""

from __future__ import annotations

import os
from pathlib import Path

from merlin_models_torch.schema import Schema
from merlin_models_torch.schema.files import from_json, from_pbtxt, to_json, to_pbtxt
from merlin_models_torch.storage import whole_file

__all__ = ["TensorflowMetadata"]


class TensorflowMetadata:
    """A schema on its way from or to a file.

    Args:
        schema: what the file holds; an empty one if not given.
    """

    def __init__(self, schema: Schema | None = None) -> None:
        self._schema = Schema([]) if schema is None else schema

    @classmethod
    def from_json(cls, json: str) -> TensorflowMetadata:
        """Reads the text of a ``schema.json``."""
        return cls(from_json(json))

    @classmethod
    def from_json_file(
        cls, path: str | os.PathLike[str], file_name: str = "schema.json"
    ) -> TensorflowMetadata:
        """Reads a file of a folder; a path that names the file does too."""
        return cls.from_json(_read(Path(path), file_name))

    @classmethod
    def from_proto_text(cls, proto_text: str) -> TensorflowMetadata:
        """Reads the text of a ``schema.pbtxt``."""
        return cls(from_pbtxt(proto_text))

    @classmethod
    def from_proto_text_file(
        cls, path: str | os.PathLike[str], file_name: str = "schema.pbtxt"
    ) -> TensorflowMetadata:
        """Reads a file of a folder; a path that names the file does too."""
        return cls.from_proto_text(_read(Path(path), file_name))

    @classmethod
    def from_merlin_schema(cls, schema: Schema) -> TensorflowMetadata:
        """Takes a schema."""
        return cls(schema)

    def to_merlin_schema(self) -> Schema:
        """The schema."""
        return self._schema

    def to_json(self) -> str:
        """The text of a ``schema.json``."""
        return to_json(self._schema)

    def to_proto_text(self) -> str:
        """The text of a ``schema.pbtxt``."""
        return to_pbtxt(self._schema)

    def to_proto_text_file(self, path: str | os.PathLike[str], file_name: str = "schema.pbtxt") -> None:
        """Writes a file into a folder."""
        _write(Path(path) / file_name, self.to_proto_text())

    def to_json_file(self, path: str | os.PathLike[str], file_name: str = "schema.json") -> None:
        """Writes a file into a folder."""
        _write(Path(path) / file_name, self.to_json())


def _read(path: Path, file_name: str) -> str:
    return (path if path.is_file() else path / file_name).read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    with whole_file(path) as work:
        work.write_text(text, encoding="utf-8")
