"""Which items the rows of a table have met before, from a table of events or of lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from merlin_models_torch.batch import Column
from merlin_models_torch.data.arrow import to_column
from merlin_models_torch.data.coding import check_codes
from merlin_models_torch.data.source import ParquetSource, TableSource, open_source
from merlin_models_torch.data.table import TensorTable
from merlin_models_torch.data.vocabulary import dictionary
from merlin_models_torch.schema.facts import is_list


@dataclass(frozen=True)
class SeenItems:
    """The items of each of some keys.

    Args:
        key: name of the key.
        known: (H,) distinct keys.
        items: a row for each of them, with one column, a list of item rows; and a last row, which is empty.
    """

    key: str
    known: pa.Array
    items: TensorTable

    def owners(self, keys: pa.Table) -> Tensor:
        """(B,) int64 place of each row of a table of keys: that of an empty list for one that is not known.

        For many rows at once, since it goes over all known keys.
        """
        import pyarrow.compute as pc

        places = pc.index_in(keys[self.key].cast(self.known.type), value_set=self.known)
        return torch.from_numpy(np.asarray(places.fill_null(len(self.known))).astype(np.int64))

    def of(self, owners: Tensor) -> Tensor:
        """What the rows with (B,) places have met: (B, E) int64 item rows, -1 in places that hold none."""
        (column,) = self.items.take(owners).values()
        return column if isinstance(column, Tensor) else column.padded(value=-1)

    @classmethod
    def matched(
        cls,
        seen: Any,
        keys: pa.Schema,
        *,
        as_is: bool = False,
        item_id: str,
        catalogue: int | None = None,
    ) -> SeenItems:
        """Looks up what belongs to each row by the key that both tables have.

        Args:
            seen: parquet path, Arrow table or data frame with a column of keys and one of item rows: in each
                row one event, or a list of items.
            keys: of the rows.
            as_is: compare keys as they are where their source codes ids.
            item_id: name of the column of items.
            catalogue: number of item rows; not compared if not given.

        Raises:
            ValueError: if the tables do not have just one key in common, of one type, there are no items, or
                one is not in the catalogue.
        """
        source = seen if isinstance(seen, (TableSource, ParquetSource)) else open_source(seen)
        place, schema = next(iter(source.schemas()))
        names = schema.names
        common = [name for name in keys.names if name in names]
        if len(common) != 1 or item_id not in names:
            raise ValueError(
                f"seen ({place}) has columns {names}, expected {item_id!r} and just one of the keys "
                f"{keys.names or ['row']}: name the key in keys=, or add the column"
            )
        (key,) = common
        items = pa.concat_tables([source.read(part, [item_id]) for part in source.parts])[item_id]
        check_codes(items, where=f"column {item_id!r} of seen ({place})")
        by = source.as_is if as_is else source
        found = pa.concat_tables([by.read(part, [key]) for part in by.parts])[key]
        try:
            owners = dictionary(found.cast(keys.field(key).type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ValueError(
                f"key {key!r} has type {keys.field(key).type} in the data and {found.type} in seen: "
                "give both in one form"
            ) from error
        known = owners.dictionary
        lists = _grouped(owners.indices, items, len(known))
        if catalogue is not None:
            _check_items(lists, catalogue, where=f"seen ({place}) has", column=item_id)
        return cls(key, known, TensorTable({item_id: lists}, torch.arange(len(known) + 1)))


def _check_items(lists: Column, catalogue: int, *, where: str, column: str) -> None:
    items = lists if isinstance(lists, Tensor) else lists.values
    wrong = items[(items < -1) | (items >= catalogue)]
    if len(wrong):
        raise ValueError(
            f"{where} item {int(wrong[0])} in column {column!r}, but the catalogue has rows 0 to "
            f"{catalogue - 1}: code items as the model's training data has them"
        )


def _grouped(owners: pa.Array, items: pa.ChunkedArray, count: int) -> Column:
    """The items of each owner, and an empty list; those without an owner, which is null, are left out."""
    import pyarrow.compute as pc

    if is_list(items.type):
        owners, items = owners.take(pc.list_parent_indices(items)), pc.list_flatten(items)
    kept = pc.is_valid(owners)
    numbers = np.asarray(owners.filter(kept)).astype(np.int64)
    values = items.filter(kept)
    values = values.take(pa.array(np.argsort(numbers, kind="stable"))).combine_chunks()
    offsets = np.concatenate([[0], np.bincount(numbers, minlength=count + 1).cumsum()])
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), values.cast(pa.int64()))
    return to_column(pa.chunked_array([lists]), "list", where="the items of seen")
