"""Rows with original ids as rows with codes."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from merlin_models_torch.data.arrow import is_list
from merlin_models_torch.data.vocabulary import Vocabulary
from merlin_models_torch.schema import Schema, Tags


def coded(table: pa.Table, schema: Schema, vocabularies: Mapping[str, Vocabulary]) -> pa.Table:
    """A table whose ids are those of the data's origin, with the codes that models read instead.

    Args:
        table: with any columns, lists of ids among them; those that have no vocabulary stay as they are.
        schema: of the columns that are coded.
        vocabularies: by name of the domain.

    Returns:
        The table; ids that a vocabulary does not have get its code for unknown ones, missing ones 0.

    Raises:
        DataError: if ids cannot be compared with those of their vocabulary.
    """
    for column in schema.select(Tags.CATEGORICAL):
        vocabulary = vocabularies.get(schema.domain_name(column.name))
        if vocabulary is None or column.name not in table.column_names:
            continue
        place = table.column_names.index(column.name)
        table = table.set_column(place, column.name, _codes(table[column.name], vocabulary))
    return table


def _codes(ids: pa.ChunkedArray, vocabulary: Vocabulary) -> pa.Array:
    import pyarrow.compute as pc

    ids = ids.combine_chunks()
    if not is_list(ids.type):
        return pa.array(vocabulary.encode(ids))
    lengths = pc.fill_null(pc.list_value_length(ids), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array([0, *lengths.cumsum().tolist()], pa.int64())
    return pa.LargeListArray.from_arrays(
        offsets, _codes(pa.chunked_array([pc.list_flatten(ids)]), vocabulary)
    )
