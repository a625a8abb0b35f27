"""What the columns of the data are: tags, domains, value counts; read, written, inferred and selected."""

from merlin_models_torch.schema.column import ColumnSchema, Domain
from merlin_models_torch.schema.convert import as_column, as_schema
from merlin_models_torch.schema.dtypes import DType, ElementType, dtype
from merlin_models_torch.schema.errors import SchemaError, UnknownColumnError
from merlin_models_torch.schema.schema import Schema
from merlin_models_torch.schema.selection import Selection
from merlin_models_torch.schema.shape import Dimension, Shape
from merlin_models_torch.schema.tags import Tag, Tags, TagSet

__all__ = [
    "ColumnSchema",
    "DType",
    "Dimension",
    "Domain",
    "ElementType",
    "Schema",
    "SchemaError",
    "Selection",
    "Shape",
    "Tag",
    "TagSet",
    "Tags",
    "UnknownColumnError",
    "as_column",
    "as_schema",
    "dtype",
]
