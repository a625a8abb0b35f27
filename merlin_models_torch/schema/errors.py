"""Errors of this package."""

from __future__ import annotations


class SchemaError(ValueError):
    """A schema, or the file or data it comes from, cannot be used as it is; the text names the fix."""


class UnknownColumnError(SchemaError, KeyError):
    """A schema was asked for a column that it does not have."""

    def __str__(self) -> str:
        """The sentence itself: a KeyError would show it quoted."""
        return str(self.args[0]) if self.args else ""
