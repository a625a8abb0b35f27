"""Data sets with a schema file."""

from __future__ import annotations

import os
from typing import Any

from merlin_standard_lib import Schema

from merlin_models_torch.schema import Schema as CoreSchema
from transformers4rec._legacy import elsewhere, legacy

__getattr__ = elsewhere(__name__, {"merlin_standard_lib": "Schema"})


@legacy
class Dataset:
    """A schema, and random data of its columns.

    Args:
        schema_path: a ``schema.pbtxt`` or ``schema.json``.
    """

    def __init__(self, schema_path: str) -> None:
        self.schema_path = os.fspath(schema_path)
        self._schema: Any = None

    @property
    def schema(self) -> Schema:
        """The schema, as merlin_standard_lib's."""
        if self._schema is None:
            is_text = self.schema_path.endswith((".pb", ".pbtxt"))
            read = Schema().from_proto_text if is_text else Schema().from_json
            self._schema = read(self.schema_path)
        return self._schema

    @property
    def merlin_schema(self) -> Any:
        """The schema, as merlin.schema's."""
        from merlin.schema import ColumnSchema
        from merlin.schema import Schema as MerlinSchema

        columns = [
            ColumnSchema(
                column.name,
                tags=[getattr(tag, "value", tag) for tag in column.tags],
                properties=column.properties,
                dtype=column.dtype.name,
                is_list=column.is_list,
                is_ragged=column.is_ragged,
                dims=column.dims,
            )
            for column in CoreSchema(list(self.schema))
        ]
        return MerlinSchema(columns)

    def torch_synthetic_data(
        self,
        num_rows: int = 100,
        min_session_length: int = 5,
        max_session_length: int = 20,
        device: Any = None,
        ragged: bool = False,
    ) -> dict[str, Any]:
        """A batch of random data of the schema's columns.

        Args:
            num_rows: rows of it.
            min_session_length: shortest list.
            max_session_length: longest list; matrices are as wide.
            device: of the tensors.
            ragged: whether lists are given as ``__values`` and ``__offsets``.
        """
        from transformers4rec.torch.utils.schema_utils import random_data_from_schema

        return random_data_from_schema(
            self.schema,
            num_rows=num_rows,
            min_session_length=min_session_length,
            max_session_length=max_session_length,
            device=device,
            ragged=ragged,
        )

    def tf_synthetic_data(
        self, num_rows: int = 100, min_session_length: int = 5, max_session_length: int = 20
    ) -> Any:
        """Not offered: TensorFlow is not supported.

        Raises:
            UnsupportedName: always.
        """
        from merlin_migrate.warnings import unsupported

        raise unsupported("transformers4rec.data.dataset.Dataset.tf_synthetic_data")


@legacy
class ParquetDataset(Dataset):
    """A parquet file with a schema.

    Args:
        dir: folder of both.
        parquet_file_name: the data in it.
        schema_file_name: the schema in it.
        schema_path: the schema, where it stands elsewhere.
    """

    def __init__(
        self,
        dir: Any,
        parquet_file_name: str = "data.parquet",
        schema_file_name: str = "schema.json",
        schema_path: str | None = None,
    ) -> None:
        super().__init__(schema_path or os.path.join(dir, schema_file_name))
        self.path = os.path.join(dir, parquet_file_name)
