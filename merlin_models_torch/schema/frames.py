"""A schema from whatever holds rows: data frames of pandas and polars, tables, data sets, files."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from merlin_models_torch.schema.errors import SchemaError
from merlin_models_torch.schema.infer import Roles, from_arrow, from_parquet
from merlin_models_torch.schema.schema import Schema

if TYPE_CHECKING:
    import pandas as pd


def infer_any(source: Any, roles: Roles) -> Schema:
    """Infer from any source; see :meth:`Schema.infer`."""
    if isinstance(source, (str, PathLike, list, tuple)):
        return from_parquet(source, roles)
    if isinstance(source, (pa.Table, pa.RecordBatch, pa.Schema)):
        return from_arrow(source, roles)
    return from_arrow(frame_to_arrow(source), roles)


def frame_to_arrow(frame: Any) -> pa.Table:
    """A data frame as an Arrow table, known by its methods so that its library need not be there.

    Args:
        frame: of pandas (its index is left out), of polars (eager or lazy), a ``merlin.io.Dataset``, or
            another that offers itself by the Arrow stream interface.

    Raises:
        SchemaError: if a column holds values of several kinds.
        TypeError: if it is none of these.
    """
    if hasattr(frame, "to_ddf"):  # merlin.io.Dataset
        frame = frame.to_ddf().compute()
    if hasattr(frame, "collect") and hasattr(frame, "collect_schema"):  # a lazy frame of polars
        frame = frame.collect()
    if hasattr(frame, "iloc"):  # pandas
        names = [name for name in frame.columns if not isinstance(name, str)]
        if names:
            raise SchemaError(
                f"the data frame has a column named {names[0]!r}, a {type(names[0]).__name__}: give its "
                "columns names that are strings"
            )
        try:
            return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
        except pa.ArrowException as error:
            raise SchemaError(
                f"the data frame does not fit Arrow ({str(error).splitlines()[0]}): give each column "
                "values of one type"
            ) from error
    if hasattr(frame, "to_arrow"):  # polars
        frame = frame.to_arrow()
    if not isinstance(frame, pa.Table) and hasattr(frame, "__arrow_c_stream__"):
        frame = pa.table(frame)
    if not isinstance(frame, pa.Table):
        raise TypeError(
            f"a schema is inferred from a data frame, an Arrow table or schema, or parquet files, not from "
            f"{type(frame).__name__}: convert it to one of these"
        )
    return frame


def columns_as_frame(schema: Schema) -> pd.DataFrame:
    """What is known of each column; see :meth:`Schema.to_pandas`."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("to_pandas needs pandas: pip install pandas, or print the schema") from error
    facts = ("name", "tags", "dtype", "is_list", "is_ragged", "properties")
    return pd.json_normalize([{fact: getattr(column, fact) for fact in facts} for column in schema])
