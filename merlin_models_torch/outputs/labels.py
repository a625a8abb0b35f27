"""Labels of a batch, put beside the positions that answer them."""

from __future__ import annotations

import torch
from torch import Tensor

from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.schema import ColumnSchema, Schema


def single_column(target: str | ColumnSchema | Schema, *, argument: str = "target") -> ColumnSchema:
    """The one column that is meant.

    Args:
        target: its name, its schema, or a schema of it alone.
        argument: what the caller calls it, for errors.

    Raises:
        ValueError: if a schema holds none or several columns.
        TypeError: if it is none of these.
    """
    if isinstance(target, str):
        return ColumnSchema(target)
    if isinstance(target, ColumnSchema):
        return target
    if not isinstance(target, Schema):
        raise TypeError(
            f"{argument} is a {type(target).__name__}, expected the name of a column or its schema"
        )
    if len(target) != 1:
        raise ValueError(
            f"{argument} has columns {target.column_names}, expected one: select it, "
            "or use TabularOutputBlock for several"
        )
    return target.first


def column_of(batch: Batch, name: str, *, role: str = "target") -> Column:
    """A column among the batch's targets or else its features.

    Raises:
        KeyError: if it is in neither.
    """
    found = batch.targets.get(name)
    if found is None:
        found = batch.features.get(name)
    if found is None:
        raise KeyError(
            f"{role} {name!r} is not in the batch, which has targets {sorted(batch.targets)}: tag the column "
            "as target in the schema of the loader, or name it in the loader's targets"
        )
    return found


def items_visible(batch: Batch, steps: int) -> Tensor | None:
    """(B,) int64 places of (B, steps, D) hidden vectors that are no padding; None if that is not known.

    A plan that leaves the last item out does so for every row, also where the matrix has room for it.
    """
    if batch.plan is None:
        return None
    return (batch.plan.lengths + min(batch.plan.extend, 0)).clamp(min=0, max=steps)


def by_position(batch: Batch, column: Column, steps: int) -> tuple[Tensor, Tensor]:
    """Values of a list column beside the positions of a cut and padded sequence.

    The sequence keeps the latest positions of a row, and so its labels do.

    Args:
        batch: with the plan of the sequence.
        column: one value for each position of the whole sequence; or (B,), one for all of a row.
        steps: positions of the body's output.

    Returns:
        Values (B, steps), and which of them are labels (B, steps) bool.
    """
    at = torch.arange(steps, device=batch_device(column))
    plan = batch.plan
    if isinstance(column, Tensor) and column.dim() == 1:
        column = column[:, None].expand(-1, steps)
    if isinstance(column, Tensor):
        matrix = torch.nn.functional.pad(column, (0, max(0, steps - column.shape[1])))[:, :steps]
        lengths = torch.full_like(at[:1], min(steps, column.shape[1])).expand(len(column))
        if plan is not None:
            lengths = torch.minimum(lengths, plan.lengths - abs(plan.extend))
        return matrix, at < lengths[:, None]
    lengths = column.lengths
    kept = lengths if plan is None else torch.minimum(lengths, plan.lengths - max(plan.extend, 0))
    # An item that is only a target has a position in the row, and none in the sequence.
    inside = at < (kept if plan is None else kept + min(plan.extend, 0))[:, None]
    if not column.values.shape[0]:
        return column.values.new_zeros(inside.shape), torch.zeros_like(inside)
    source = column.offsets[1:, None] - kept[:, None] + at
    return column.values[torch.where(inside, source, 0)], inside


def batch_device(column: Column) -> torch.device:
    """Where the values of a column are."""
    return column.values.device if isinstance(column, Ragged) else column.device


def per_row(column: Column, name: str) -> Tensor:
    """(B,) values of a column of one value a row.

    Raises:
        ValueError: if it has lists.
    """
    if isinstance(column, Ragged) or column.dim() > 1:
        raise ValueError(
            f"column {name!r} has a list in each row, but there is one answer for a row: "
            "give the output summary='none', or a column of one value a row"
        )
    return column
