"""Original ids as the codes that models read, while they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from merlin_models_torch.data.arrow import is_number, leaf_type
from merlin_models_torch.data.errors import DataError
from merlin_models_torch.data.vocabulary import Vocabulary
from merlin_models_torch.schema import Schema, Tags
from merlin_models_torch.schema.facts import is_list


@dataclass(frozen=True)
class Coding:
    """By which vocabulary the ids of each column are coded.

    Args:
        vocabularies: by name of the column; columns without one stay as they are.
    """

    vocabularies: Mapping[str, Vocabulary]

    @classmethod
    def of(cls, schema: Schema, vocabularies: Mapping[str, Vocabulary]) -> Coding:
        """That of the categorical columns of a schema.

        Args:
            schema: of the columns.
            vocabularies: by name of the domain.
        """
        found = {
            column.name: vocabularies.get(schema.domain_name(column.name))
            for column in schema.select(Tags.CATEGORICAL)
        }
        return cls({name: vocabulary for name, vocabulary in found.items() if vocabulary is not None})

    def schema(self, found: pa.Schema, *, where: str) -> pa.Schema:
        """The types of columns after they are coded: int64, or lists of it.

        Args:
            found: types of the ids.
            where: names the file in errors.

        Raises:
            DataError: if no ids of a type can be those of their vocabulary.
        """
        for place, name in enumerate(found.names):
            if name not in self.vocabularies:
                continue
            kind, known = found.field(place).type, self.vocabularies[name].values.type
            try:
                pa.array([], leaf_type(kind)).cast(known)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise DataError(
                    f"column {name!r} of {where} has type {kind}, expected ids of type {known}, as the "
                    "model's vocabulary has, or lists of them: give the ids that the model was trained with"
                ) from error
            found = found.set(place, pa.field(name, _coded_type(kind)))
        return found

    def table(self, table: pa.Table, *, where: str) -> pa.Table:
        """A table with codes instead of ids.

        Args:
            table: with any columns, lists of ids among them.
            where: names the file in errors.

        Returns:
            The table; ids that a vocabulary does not have get its code for unknown ones, missing ones 0.

        Raises:
            DataError: if ids cannot be compared with those of their vocabulary.
        """
        for place, name in enumerate(table.column_names):
            vocabulary = self.vocabularies.get(name)
            if vocabulary is None:
                continue
            ids = table.column(place)
            try:
                # Piece by piece: texts of more than 2 GiB do not fit one array.
                codes = pa.chunked_array(
                    [_codes(piece, vocabulary) for piece in ids.chunks], _coded_type(ids.type)
                )
            except DataError as error:
                raise DataError(
                    f"column {name!r} of {where} does not fit the model's ids: {error}"
                ) from error
            table = table.set_column(place, name, codes)
        return table


@dataclass(frozen=True)
class RawIds:
    """Rows with original ids, coded while they are read: whatever takes rows takes these.

    Args:
        data: parquet path (or folder, glob, list of them), Arrow table, data frame or dict of columns.
        coding: how.
    """

    data: Any
    coding: Coding


def check_codes(column: pa.ChunkedArray, *, where: str) -> None:
    """Refuses a column of items, or of lists of them, that holds no codes.

    Args:
        column: to be read as codes.
        where: names it and its file in the error.

    Raises:
        DataError: if it holds original ids.
    """
    kind = leaf_type(column.type)
    if not is_number(kind) and not pa.types.is_null(kind) and len(column):
        raise DataError(
            f"{where} has type {column.type}, expected codes of items, which are numbers: give original ids "
            "as model.raw_ids(data)"
        )


def _coded_type(kind: pa.DataType) -> pa.DataType:
    return pa.large_list(_coded_type(kind.value_type)) if is_list(kind) else pa.int64()


def _codes(ids: pa.Array, vocabulary: Vocabulary) -> pa.Array:
    import pyarrow.compute as pc

    if not is_list(ids.type):
        return pa.array(vocabulary.encode(ids))
    lengths = pc.fill_null(pc.list_value_length(ids), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.append(0, lengths.cumsum()), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, _codes(pc.list_flatten(ids), vocabulary))
