"""The keys of rows, read as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.data.source import ParquetSource, Part, open_source
from merlin_models_torch.retrieval.history import SeenItems

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

_OWNER = "\0owner"


@dataclass(frozen=True)
class Keyed:
    """What is known of some rows besides what the model reads.

    Args:
        keys: of B rows.
        seen: (B, E) int64 item rows that each has met, -1 in places that hold none; if it was asked for.
        given: what was given for these rows beside the data, if something was.
    """

    keys: pa.Table
    seen: Tensor | None = None
    given: pa.Table | None = None


class RowReader:
    """Rows of a table by their numbers, read part by part as they are asked for; the last part is kept.

    Args:
        parts: of the table, in order.
        read: reads the columns of one.
    """

    def __init__(self, parts: Sequence[Part], read: Callable[[Part], pa.Table]) -> None:
        self._parts, self._read = parts, read
        self._starts = np.array([part.first_row for part in parts])
        self._held: tuple[int, pa.Table] | None = None

    def of(self, rows: Tensor) -> pa.Table:
        """(B,) int64 rows, in their order."""
        numbers = rows.cpu()
        places = np.searchsorted(self._starts, numbers.numpy(), side="right") - 1
        pieces, order = [], []
        for place in np.unique(places):
            chosen = np.flatnonzero(places == place)
            inside = numbers[torch.from_numpy(chosen)] - int(self._starts[place])
            pieces.append(self._part(int(place)).take(pa.array(inside.numpy())))
            order.append(chosen)
        table = pa.concat_tables(pieces)
        return table.take(pa.array(np.argsort(np.concatenate(order)))) if len(pieces) > 1 else table

    def _part(self, place: int) -> pa.Table:
        if self._held is None or self._held[0] != place:
            self._held = place, self._read(self._parts[place])
        return self._held[1]


class RowKeys:
    """What names the rows of a loader's data, and what they have met.

    Args:
        model: whose vocabularies have the original form of keys that it reads as codes.
        loader: whose data it is.
        names: columns of the data; the number of the row where there are none.
        seen: table of what was met, looked up by one of the keys.
        item_id: its column of items.
        catalogue: number of item rows that it may hold; not compared if not given.
        streamed: read a row group when one of its rows is asked for, and keep the last one only; else read
            all rows at once.
        given: reads what was given for rows beside the data.

    Raises:
        ValueError: if keys and ``seen`` do not fit.
    """

    def __init__(
        self,
        model: Model,
        loader: ParquetLoader,
        names: Sequence[str],
        *,
        seen: object = None,
        item_id: str = "item",
        catalogue: int | None = None,
        streamed: bool = False,
        given: Callable[[Tensor], pa.Table] | None = None,
    ) -> None:
        source = loader.source
        self._names = list(names)
        self._loader = loader
        self._coded = source.coding is not None
        domains = [(n, b.domains[n]) for n in self._names for b in model.input_blocks if n in b.domains]
        self._vocabularies = {name: model.vocabularies.get(domain) for name, domain in reversed(domains)}
        whole = (Part("all rows", source.num_rows, 0),)
        groups = streamed and isinstance(source, ParquetSource)
        self._rows = RowReader(source.groups if groups else whole, self._part)  # type: ignore[union-attr]
        self._given = given
        self._seen: SeenItems | None = None
        if seen is not None:
            met = open_source(seen)
            # Where both sides have original ids these are compared, so that unknown ones stay apart.
            as_is = self._coded and met.coding is not None
            self._coded = self._coded and not as_is
            _, found = next(iter((source.as_is if as_is else source).schemas()))
            schema = pa.schema([found.field(name) for name in self._names])
            self._seen = SeenItems.matched(met, schema, as_is=as_is, item_id=item_id, catalogue=catalogue)

    def of(self, rows: Tensor) -> Keyed:
        """The keys of (B,) int64 rows, in their order and their original form."""
        given = None if self._given is None else self._given(rows)
        if not self._names:
            return Keyed(pa.table({"row": pa.array(rows.cpu().numpy())}), given=given)
        table = self._rows.of(rows)
        keys = pa.table({name: self._original(name, table[name]) for name in self._names})
        if self._seen is None:
            return Keyed(keys, given=given)
        owners = torch.from_numpy(table.column(len(self._names)).to_numpy().copy())
        return Keyed(keys, self._seen.of(owners), given)

    def _original(self, name: str, column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        coding, vocabulary = self._loader.source.coding, self._vocabularies.get(name)
        if vocabulary is None or (coding is not None and name in coding.vocabularies):
            return column
        return vocabulary.decode(column)

    def _part(self, part: Part) -> pa.Table:
        """The keys of a part, and beside them what their place among the owners of seen items is."""
        source = self._loader.source
        if part.group is None:
            table = self._loader.keys(None, self._names)
        else:
            table = source.as_is.read(part, self._names)
        if self._seen is None:
            return table
        compared = table
        if self._coded:
            parts = source.parts if part.group is None else [part]
            compared = pa.concat_tables([source.read(one, self._names) for one in parts])
        return table.append_column(_OWNER, pa.array(self._seen.owners(compared).numpy()))


def key_names(loader: ParquetLoader, names: Sequence[str]) -> list[str]:
    """Those of the columns that name a row which all files have."""
    files = [schema.names for _, schema in loader.source.schemas()]
    return [name for name in dict.fromkeys(names) if all(name in columns for columns in files)]
