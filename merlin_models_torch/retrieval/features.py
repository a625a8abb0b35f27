"""The features of items, by item id, that a ranking model reads beside those of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from merlin_models_torch.batch import Column
from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.data.source import open_source
from merlin_models_torch.data.table import TensorTable, concatenate
from merlin_models_torch.retrieval.candidates import first_of_each
from merlin_models_torch.schema import ColumnSchema, Schema, Tags

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

_ROWS = 8192


@dataclass(frozen=True)
class ItemFeatures:
    """Columns of items, looked up by the item's row.

    Args:
        item_id: name of the item's column.
        rest: the other columns that the model reads, which belong to the row.
        table: columns of the items that are known, one row each; None where the model reads their ids alone.
        places: (V,) int64 row of the table of each item, -1 where there is none.
    """

    item_id: str
    rest: Schema
    table: TensorTable | None
    places: Tensor

    def has(self, codes: Tensor) -> Tensor:
        """(N,) bool, which of (N,) item rows of the catalogue are known."""
        return self.places[codes.clamp(0, len(self.places) - 1)] >= 0

    def of(self, codes: Tensor) -> dict[str, Column]:
        """The columns of (N,) items."""
        columns = {} if self.table is None else self.table.take(self.places[codes])
        return {**columns, self.item_id: codes}

    @classmethod
    def of_model(cls, model: Model, column: ColumnSchema, items: Any) -> ItemFeatures:
        """Those that a model reads.

        Args:
            model: that scores rows.
            column: the item ids that it reads.
            items: a table, data frame or parquet path with the item id and columns of the items, coded as in
                training; of several rows of an item the first counts. None if the model reads ids alone.

        Raises:
            ValueError: if a column of the items is needed and not given.
        """
        others = model.schema.excluding_by_name([column.name])
        size = model.schema.cardinality(column.name)
        names = [] if items is None else next(iter(open_source(items).schemas()))[1].names
        own = others.select_by_name([name for name in others.column_names if name in names])
        rest = others.excluding_by_name(own.column_names)
        sequences = {name for block in model.input_blocks for name in block.sequences}
        # A history of items is the row's.
        lacking = [
            c.name for c in rest.select(Tags.ITEM) if c.name not in sequences and Tags.SEQUENCE not in c.tags
        ]
        if lacking or (items is not None and column.name not in names):
            wanted = lacking or [column.name]
            given = f"items has {names}" if items is not None else "items is not given"
            raise ValueError(
                f"the model reads {wanted} of an item, and {given}: pass items=, a table of items (or of the "
                f"training events) with {column.name!r} and these columns"
            )
        if items is None:
            return cls(column.name, rest, None, torch.arange(size))
        known = torch.zeros(size, dtype=torch.bool)
        known[0] = True
        parts = []
        for batch in ParquetLoader(items, Schema([column]) + own, batch_size=_ROWS, rank=0, world=1):
            columns = {**batch.targets, **batch.features}
            new = first_of_each(columns[column.name].long(), known)  # type: ignore[union-attr]
            parts.append(TensorTable(columns, torch.arange(len(batch))).select(new))
        table = concatenate(parts)
        codes = table.columns[column.name].long()  # type: ignore[union-attr]
        places = torch.full((size,), -1)
        places[codes] = torch.arange(len(codes))
        return cls(column.name, rest, table, places)


def item_column(model: Model) -> ColumnSchema:
    """The item that a row is about.

    Raises:
        ValueError: if the model reads none, or several.
    """
    found = items_of_rows(model)
    if len(found) != 1:
        raise ValueError(
            f"the model reads {[c.name for c in found] or 'no column'} tagged Tags.ITEM_ID with one item a "
            f"row, among {model.schema.column_names}, expected just one: tag the column "
            "of the items to be ranked"
        )
    return found[0]


def items_of_rows(model: Model) -> list[ColumnSchema]:
    """The columns of items that have one item a row."""
    sequences = {name for block in model.input_blocks for name in block.sequences}
    return [c for c in model.schema.select(Tags.ITEM_ID) if c.name not in sequences and not c.is_list]
