"""The errors that unusable input data raises."""

from __future__ import annotations


class DataError(ValueError):
    """Data that cannot be used as it is: the message names the file, the column, what was got and the fix."""


class RowError(ValueError):
    """A row of a batch that cannot be used; who knows where the batch is from says which row of which file.

    Args:
        row: number in the batch.
        reason: what is wrong with it, and the fix.
    """

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"row {row} of the batch {reason}")
        self.row = row
        self.reason = reason
