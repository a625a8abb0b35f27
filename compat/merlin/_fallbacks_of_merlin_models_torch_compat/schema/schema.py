"""``merlin.schema.schema`` where merlin-core is not installed."""

from merlin.schema import ColumnSchema, Schema

from merlin_models_torch.schema import Domain

__all__ = ["ColumnSchema", "Domain", "Schema"]
