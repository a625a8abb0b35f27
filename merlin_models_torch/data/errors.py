"""The one error that unusable input data raises."""

from __future__ import annotations


class DataError(ValueError):
    """Data that cannot be used as it is: the message names the file, the column, what was got and the fix."""
