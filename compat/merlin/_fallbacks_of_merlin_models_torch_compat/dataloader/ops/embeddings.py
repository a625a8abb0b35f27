"""``merlin.dataloader.ops.embeddings`` where merlin-dataloader is not installed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from merlin.dag import BaseOperator, ColumnSelector
from merlin.schema import ColumnSchema, Schema, Tags
from merlin.table import Device, TensorColumn
from merlin_migrate.table import find
from merlin_migrate.warnings import unsupported

_PASSED_ON = (Tags.LIST, Tags.SEQUENCE, Tags.USER, Tags.ITEM, Tags.CONTEXT, Tags.SESSION)


class EmbeddingOperator(BaseOperator):
    """Adds a column of vectors that are looked up by the ids of another.

    Args:
        embeddings: (V, D) vectors, or the path of a ``.npy`` file of them.
        lookup_key: column of the ids.
        embedding_name: the new column.
        id_lookup_table: (V,) id of each vector, or the path of a ``.npy`` file; without it ids are rows.
        mmap: reads a file as it is needed, not as a whole.
        unknown_value: what ids without a vector get, one number or D of them.

    Raises:
        ValueError: if vectors or ids are neither an array nor a path, or differ in number.
    """

    def __init__(
        self,
        embeddings: Any,
        lookup_key: str = "id",
        embedding_name: str = "embeddings",
        id_lookup_table: Any = None,
        mmap: bool = False,
        unknown_value: Any = 0,
    ) -> None:
        self.embeddings = _array("embeddings", embeddings, mmap)
        self.embedding_index_mapping: dict[Any, int] | None = None
        if id_lookup_table is not None:
            ids = _array("id_lookup_table", id_lookup_table, False)
            if ids.shape != self.embeddings.shape[:1]:
                raise _WrongIds(
                    f"id_lookup_table has shape {ids.shape} beside vectors of shape {self.embeddings.shape}: "
                    "give the id of each vector"
                )
            self.embedding_index_mapping = {key: row for row, key in enumerate(ids)}
            self._order = np.argsort(ids, kind="stable")
            self._sorted = ids[self._order]
        self.lookup_key = lookup_key
        self.embedding_name = embedding_name
        self.unknown_value = unknown_value

    def transform(self, col_selector: ColumnSelector, transformable: Any) -> Any:
        """Adds the column to a table.

        Args:
            col_selector: not used.
            transformable: a ``TensorTable`` with the ids.

        Raises:
            IndexError: if there is no vector for an id and no ``id_lookup_table``; names column and id.
        """
        keys = transformable[self.lookup_key]
        host = keys.cpu()
        rows = self._rows(np.asarray(host.values))
        vectors = np.array(self.embeddings[rows])
        vectors[rows == -1] = self.unknown_value
        column = TensorColumn(vectors, offsets=None if host.offsets is None else np.asarray(host.offsets))
        transformable[self.embedding_name] = column.gpu() if keys.device == Device.GPU else column
        return transformable

    def _rows(self, ids: np.ndarray) -> np.ndarray:
        """Row of each id, -1 if there is none."""
        if self.embedding_index_mapping is None:
            count = len(self.embeddings)
            if outside := [int(one) for one in ids.ravel() if not -count <= one < count][:1]:
                raise IndexError(
                    f"column {self.lookup_key!r} has the id {outside[0]} and there are {count} vectors: "
                    "give more vectors, or the id of each as id_lookup_table"
                )
            return ids
        # The last of several rows with one id is the one that counts.
        place = np.searchsorted(self._sorted, ids, side="right") - 1
        rows = np.where(self._sorted[place] == ids, self._order[place], -1)
        return np.where(place < 0, -1, rows)

    def compute_output_schema(
        self, input_schema: Schema, col_selector: ColumnSelector, prev_output_schema: Schema | None = None
    ) -> Schema:
        """The columns with the new one, which is tagged EMBEDDING and as the ids are."""
        ids = input_schema[self.lookup_key]
        column = ColumnSchema(
            self.embedding_name,
            tags=[Tags.EMBEDDING, *(tag for tag in _PASSED_ON if tag in ids.tags)],
            dtype=self.embeddings.dtype,
            dims=(*(ids.shape.as_tuple or (None,)), self.embeddings.shape[1]),
        )
        return Schema([*input_schema, column])


class _WrongIds(ValueError, AssertionError):
    """merlin-dataloader asserts the number of ids."""


def _array(name: str, given: Any, mmap: bool) -> np.ndarray:
    if isinstance(given, str | os.PathLike):
        found: np.ndarray = np.load(given, mmap_mode="r" if mmap else None, allow_pickle=False)
        return found
    if not isinstance(given, np.ndarray):
        raise ValueError(
            f"{name} of EmbeddingOperator is a numpy.ndarray or the path of a .npy file, "
            f"not {type(given).__name__}"
        )
    return given


def __getattr__(name: str) -> Any:
    if find(f"{__name__}.{name}") is not None:
        raise unsupported(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
