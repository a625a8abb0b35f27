"""Checks of values where they enter: ids in their domains, no empty session, lists of equal lengths."""

from __future__ import annotations

import torch
from torch import Tensor

from merlin_models_torch.batch import Column, Ragged
from merlin_models_torch.data.errors import DataError
from merlin_models_torch.data.layout import ColumnLayout


def check_values(layout: ColumnLayout, column: Column, *, where: str, first_row: int) -> None:
    """Refuses ids outside the domain, and numbers that are not finite.

    Args:
        layout: what the schema says of the column.
        column: its values.
        where: names the column and its file in errors.
        first_row: number of the first row, for errors.

    Raises:
        DataError: with the first bad value and its row.
    """
    values = column.values if isinstance(column, Ragged) else column
    if not values.numel() or values.dtype == torch.bool:
        return
    if values.is_floating_point():
        # What has no place in float32, which batches hold, would be infinite there.
        bad = ~values.float().isfinite()
        if layout.is_number and values.dim() > 1:
            bad &= ~values.isnan()  # what fills inner lists up
        if bool(bad.any()):
            what = "too large for 32 bits" if bool(values[bad].isfinite().all()) else "not finite numbers"
            raise DataError(
                f"{where} has {int(bad.sum())} values that are {what}, the first in row "
                f"{first_row + _row(column, bad)}: fill them or leave these rows out"
            )
        return
    if not layout.is_id:
        return
    lowest, highest = (int(v) for v in values.aminmax())
    if lowest < layout.smallest or (layout.largest is not None and highest > layout.largest):
        bad = values < layout.smallest
        if layout.largest is not None:
            bad |= values > layout.largest
        value = int(values[bad][0])
        raise outside_domain(layout, where, value, count=int(bad.sum()), row=first_row + _row(column, bad))


def outside_domain(
    layout: ColumnLayout, where: str, value: int, *, count: int | None = None, row: int | None = None
) -> DataError:
    """The error for an id that the column's domain does not have."""
    place = "" if row is None else f", the first in row {row}"
    many = "" if count is None else f" ({count} such values{place})"
    domain = f"{layout.smallest} to {layout.largest}" if layout.largest is not None else "0 or more"
    return DataError(
        f"{where} has id {value}, expected {domain}{many}: encode the ids with the vocabulary of the schema "
        "(model.raw_ids does it), or raise the domain in the schema"
    )


def check_lengths(
    name: str, column: Ragged, item: str, expected: Ragged, *, file: str, first_row: int
) -> None:
    """Refuses a sequence, or labels of positions, whose lists have other lengths than those of the item ids.

    Raises:
        DataError: with the first such row.
    """
    if column.offsets is expected.offsets or torch.equal(column.offsets, expected.offsets):
        return
    got, want = column.lengths, expected.lengths
    different = got != want
    row = int(different.int().argmax())
    raise DataError(
        f"column {name!r} of {file} has {int(got[row])} values in row {first_row + row} where {item!r} has "
        f"{int(want[row])} ({int(different.sum())} such rows): sequences of a row, and labels of their "
        "positions, have equal lengths; mend the data, or take the tag SEQUENCE (of labels, of the task) "
        "from the column"
    )


def empty_rows(item: str, column: Ragged, *, file: str, first_row: int) -> DataError | None:
    """The error for rows whose item list is empty; None if there are none."""
    empty = column.lengths == 0
    count = int(empty.sum())
    if not count:
        return None
    first = first_row + int(empty.int().argmax())
    return DataError(
        f"column {item!r} of {file} has {count} empty rows, the first is row {first}: "
        'leave them out of the data or by ParquetLoader(..., empty="drop"), or keep them by empty="keep", '
        "if the model can do without"
    )


def _row(column: Column, bad: Tensor) -> int:
    """Row of the first True."""
    place = int(bad.view(bad.shape[0], -1).any(1).int().argmax())
    if isinstance(column, Ragged):
        return int(torch.searchsorted(column.offsets[1:], place, right=True))
    return place
