"""Which items the rows of a table have met before, from a table of events or of lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from merlin_models_torch.batch import Column
from merlin_models_torch.data.arrow import is_list, to_column
from merlin_models_torch.data.source import open_source
from merlin_models_torch.data.table import TensorTable


@dataclass(frozen=True)
class SeenItems:
    """The items of each of Q rows, kept once for each distinct key.

    Args:
        items: a row for each distinct key, with one column, a list of item rows.
        owner: (Q,) int64 place of each row's key.
    """

    items: TensorTable
    owner: Tensor

    def of(self, rows: Tensor) -> Tensor:
        """(B, E) int64 item rows of some of the Q rows, -1 in places that hold none."""
        (column,) = self.items.take(self.owner[rows]).values()
        return column if isinstance(column, Tensor) else column.padded(value=-1)

    @classmethod
    def matched(cls, seen: Any, keys: pa.Table, *, item_id: str) -> SeenItems:
        """Looks up what belongs to each row by the key that both tables have.

        Args:
            seen: parquet path, Arrow table or data frame with a column of keys and one of item rows: in each
                row one event, or a list of items. Rows of other keys are not looked at.
            keys: of the Q rows.
            item_id: name of the column of items.

        Raises:
            ValueError: if the tables do not have just one key in common, of one type, or there are no items.
        """
        import pyarrow.compute as pc

        source = open_source(seen)
        names = next(iter(source.schemas()))[1].names
        common = [name for name in keys.column_names if name in names]
        if len(common) != 1 or item_id not in names:
            raise ValueError(
                f"seen has columns {names}, expected {item_id!r} and just one of the keys "
                f"{keys.column_names}: name the key in keys=, or add the column"
            )
        table = pa.concat_tables([source.read(part, [common[0], item_id]) for part in source.parts])
        own = keys[common[0]]
        distinct = pc.unique(own)
        try:
            owners = pc.index_in(table[common[0]].cast(own.type), value_set=distinct)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ValueError(
                f"key {common[0]!r} has type {own.type} in the data and {table[common[0]].type} in seen: "
                "give both in one form"
            ) from error
        owner = torch.from_numpy(np.asarray(pc.index_in(own, value_set=distinct)).astype(np.int64))
        lists = _grouped(owners, table[item_id], len(distinct))
        return cls(TensorTable({item_id: lists}, torch.arange(len(distinct))), owner)


def _grouped(owners: pa.ChunkedArray, items: pa.ChunkedArray, count: int) -> Column:
    """The items of each owner; those without one, which is null, are left out."""
    import pyarrow.compute as pc

    if is_list(items.type):
        owners, items = owners.take(pc.list_parent_indices(items)), pc.list_flatten(items)
    kept = pc.is_valid(owners)
    numbers = np.asarray(owners.filter(kept)).astype(np.int64)
    values = items.filter(kept)
    values = values.take(pa.array(np.argsort(numbers, kind="stable"))).combine_chunks()
    offsets = np.concatenate([[0], np.bincount(numbers, minlength=count).cumsum()])
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), values.cast(pa.int64()))
    return to_column(pa.chunked_array([lists]), "list", where="the items of seen")
