"""Parts of a source as checked tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from merlin_models_torch.batch import Column, Ragged
from merlin_models_torch.data.arrow import to_column
from merlin_models_torch.data.checks import check_lengths, check_values, empty_rows, outside_domain
from merlin_models_torch.data.layout import Layout
from merlin_models_torch.data.source import ParquetSource, Part, Source
from merlin_models_torch.data.table import TensorTable, share_offsets

Empty = Literal["error", "drop", "keep"]


@dataclass(frozen=True)
class Reader:
    """Reads parts of a source by a layout.

    Args:
        source: where from.
        layout: what.
        empty: what becomes of rows without items: an error, left out, or kept.
    """

    source: Source
    layout: Layout
    empty: Empty

    def read(self, part: Part) -> TensorTable:
        """A part as checked tensors.

        Raises:
            DataError: if the file is damaged or a value is refused.
        """
        layout = self.layout
        table = self.source.read(part, layout.names)
        columns: dict[str, Column] = {}
        for spec in layout.columns:
            where = f"column {spec.name!r} of {part.name}"
            column = to_column(
                table.column(spec.name),
                spec.kind,
                where=where,
                first_row=part.row_in_file,
                numbers=spec.is_number,
            )
            check_values(spec, column, where=where, first_row=part.row_in_file)
            columns[spec.name] = column
        columns = share_offsets(columns)
        rows = torch.arange(part.first_row, part.first_row + part.rows)
        full = TensorTable(columns, rows)
        items = columns[layout.item] if layout.item is not None else None
        if not isinstance(items, Ragged):
            return full
        error = empty_rows(str(layout.item), items, file=part.name, first_row=part.row_in_file)
        if error is not None and self.empty == "error":
            raise error
        for name in layout.sequences:
            column = columns[name]
            if isinstance(column, Ragged):
                check_lengths(
                    name, column, str(layout.item), items, file=part.name, first_row=part.row_in_file
                )
        if error is None or self.empty == "keep":
            return full
        return full.select(items.lengths.nonzero().view(-1))

    def kept_rows(self, part: Part) -> int:
        """Rows of a part that :meth:`read` keeps, without reading more than the items."""
        item = self.layout.item
        if self.empty != "drop" or item is None:
            return part.rows
        import pyarrow.compute as pc

        lengths = pc.list_value_length(self.source.as_is.read(part, [item]).column(item))
        return int(np.count_nonzero(lengths.fill_null(0).to_numpy()))

    def size(self, part: Part) -> int:
        """Bytes that a row group takes in memory, by the file's metadata; 0 for what is there already."""
        return self.source.size_of(part, self.layout.names) if isinstance(self.source, ParquetSource) else 0

    def check_bounds(self, parts: Sequence[Part]) -> None:
        """Compares what parquet files say of their smallest and largest ids with the domains, reading no row.

        Raises:
            DataError: if a file says that it holds an id outside the domain.
        """
        if not isinstance(self.source, ParquetSource):
            return
        for part in parts:
            for spec in self.layout.columns:
                bounds = self.source.bounds(part, spec.name) if spec.is_id else None
                if bounds is None:
                    continue
                lowest, highest = bounds
                if lowest < spec.smallest or (spec.largest is not None and highest > spec.largest):
                    where = f"column {spec.name!r} of {part.name}, row group {part.group},"
                    raise outside_domain(spec, where, lowest if lowest < spec.smallest else highest)
