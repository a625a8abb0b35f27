"""The keys of rows, read as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.data.source import ParquetSource, Part
from merlin_models_torch.retrieval.history import SeenItems


@dataclass(frozen=True)
class Keyed:
    """What is known of some rows besides what the model reads.

    Args:
        keys: of B rows.
        seen: (B, E) int64 item rows that each has met, -1 in places that hold none; if it was asked for.
    """

    keys: pa.Table
    seen: Tensor | None = None


class RowKeys:
    """What names the rows of a loader's data, and what they have met.

    Args:
        loader: whose data it is.
        names: columns of the data; the number of the row where there are none.
        seen: table of what was met, looked up by one of the keys.
        item_id: its column of items.
        streamed: read a row group when one of its rows is asked for, and keep the last one only; else read
            all rows at once.

    Raises:
        ValueError: if keys and ``seen`` do not fit.
    """

    def __init__(
        self,
        loader: ParquetLoader,
        names: Sequence[str],
        *,
        seen: object = None,
        item_id: str = "item",
        streamed: bool = False,
    ) -> None:
        source = loader.source
        self._names = list(names)
        self._loader = loader
        whole = (Part("all rows", source.num_rows, 0),)
        self._parts = source.groups if streamed and isinstance(source, ParquetSource) else whole
        self._starts = np.array([part.first_row for part in self._parts])
        self._held: tuple[int, pa.Table, Tensor | None] | None = None
        self._seen: SeenItems | None = None
        if seen is not None:
            _, found = next(iter(source.schemas()))
            schema = pa.schema([found.field(name) for name in self._names])
            self._seen = SeenItems.matched(seen, schema, item_id=item_id)

    def of(self, rows: Tensor) -> Keyed:
        """The keys of (B,) int64 rows, in their order."""
        numbers = rows.cpu()
        if not self._names:
            return Keyed(pa.table({"row": pa.array(numbers.numpy())}))
        places = np.searchsorted(self._starts, numbers.numpy(), side="right") - 1
        pieces, owners, order = [], [], []
        for place in np.unique(places):
            chosen = np.flatnonzero(places == place)
            inside = numbers[torch.from_numpy(chosen)] - int(self._starts[place])
            table, known = self._part(int(place))
            pieces.append(table.take(pa.array(inside.numpy())))
            owners.append(inside if known is None else known[inside])
            order.append(chosen)
        table, owner = pa.concat_tables(pieces), torch.cat(owners)
        if len(pieces) > 1:
            back = np.argsort(np.concatenate(order))
            table, owner = table.take(pa.array(back)), owner[torch.from_numpy(back)]
        return Keyed(table, None if self._seen is None else self._seen.of(owner))

    def _part(self, place: int) -> tuple[pa.Table, Tensor | None]:
        if self._held is None or self._held[0] != place:
            part = self._parts[place]
            if part.group is None:
                table = self._loader.keys(None, self._names)
            else:
                table = self._loader.source.read(part, self._names)
            self._held = place, table, None if self._seen is None else self._seen.owners(table)
        return self._held[1], self._held[2]


def key_names(loader: ParquetLoader, names: Sequence[str]) -> list[str]:
    """Those of the columns that name a row which all files have."""
    files = [schema.names for _, schema in loader.source.schemas()]
    return [name for name in dict.fromkeys(names) if all(name in columns for columns in files)]
