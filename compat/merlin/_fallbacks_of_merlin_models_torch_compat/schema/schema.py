"""``merlin.schema.schema`` where merlin-core is not installed."""

from merlin.schema import ColumnSchema, Schema

__all__ = ["ColumnSchema", "Schema"]
