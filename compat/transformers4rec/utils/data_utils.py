"""Events to sessions, and sessions to files by time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from merlin.schema import Tags
from merlin_standard_lib import Schema as LegacySchema

from merlin_models_torch.storage import parquet_writer, whole_file
from transformers4rec._legacy import elsewhere, legacy

__getattr__ = elsewhere(__name__, {"merlin_standard_lib": "Schema"})

FIRST_SEEN_ITEM_COL_NAME = "item_ts_first"
DataFrameType = TypeVar("DataFrameType")


@legacy
def remove_consecutive_interactions(
    df: DataFrameType,
    session_id_col: str = "session_id",
    item_id_col: str = "item_id",
    timestamp_col: str = "timestamp",
) -> DataFrameType:
    """Sorts by session and time and keeps one of several equal items in a row.

    Args:
        df: a pandas or cudf frame, one event a row.
        session_id_col: column of the session.
        item_id_col: column of the item.
        timestamp_col: column of the time.
    """
    ordered: Any = df.sort_values([session_id_col, timestamp_col])  # type: ignore[attr-defined]
    same = [ordered[column] == ordered[column].shift(1) for column in (session_id_col, item_id_col)]
    return ordered[~(same[0] & same[1])]  # type: ignore[no-any-return]


@legacy
def add_item_first_seen_col_to_df(
    df: DataFrameType,
    item_id_column: str = "item_id",
    timestamp_column: str = "timestamp",
    first_seen_column_name: str = FIRST_SEEN_ITEM_COL_NAME,
) -> DataFrameType:
    """Adds the earliest time of each item.

    Args:
        df: a pandas or cudf frame, one event a row.
        item_id_column: column of the item.
        timestamp_column: column of the time.
        first_seen_column_name: the new column.
    """
    first = df.groupby(item_id_column)[timestamp_column].min()  # type: ignore[attr-defined]
    first = first.rename(first_seen_column_name).reset_index()
    return df.merge(first, on=[item_id_column], how="left")  # type: ignore[attr-defined,no-any-return]


@legacy
def session_aggregator(
    schema: Any,
    data: Any,
    maximum_length: int = 20,
    minimum_length: int = 2,
    device: str = "gpu",
) -> Any:
    """Events as sessions, one a row.

    Args:
        schema: of the columns: those tagged ITEM become lists, of those tagged SESSION the first is taken.
        data: a pandas or cudf frame, one event a row.
        maximum_length: items of a session that are kept, the first ones.
        minimum_length: sessions with fewer are left out.
        device: not used.

    Returns:
        A pandas frame of columns ``<name>-first`` and ``<name>-list_trim``.

    Raises:
        ValueError: if no column is tagged as session id.
    """
    columns = LegacySchema(list(schema))
    of_session = columns.select_by_tag(Tags.SESSION).column_names
    of_item = columns.select_by_tag(Tags.ITEM).column_names
    ids = columns.select_by_tag(Tags.SESSION_ID).column_names
    if not ids:
        raise ValueError(f"no column of {columns.column_names} has the tag SESSION_ID: add it to the schema")
    frame = data.to_pandas() if hasattr(data, "to_pandas") else data
    frame = frame.assign(_session=frame[ids[0]])
    groups = frame.groupby("_session", sort=True)
    firsts = groups[of_session].first().add_suffix("-first")
    lists = groups[of_item].agg(lambda values: list(values)[:maximum_length]).add_suffix("-list_trim")
    sessions = firsts.join(lists)
    return sessions[groups.size().clip(upper=maximum_length) >= minimum_length].reset_index(drop=True)


@legacy
def save_time_based_splits(
    data: Any,
    output_dir: str,
    partition_col: str | list[str] = "day_idx",
    timestamp_col: str = "ts/first",
    test_size: float = 0.1,
    val_size: float = 0.1,
    overwrite: bool = True,
    cpu: bool = False,
) -> None:
    """Writes ``<output_dir>/<value of partition_col>/{train,valid,test}.parquet``.

    Rows fall to the three files as they did on a CPU, by the same random numbers.

    Args:
        data: rows: a merlin Dataset, a pandas, cudf, Dask or polars frame, an Arrow table, or parquet files.
        output_dir: folder of the folders.
        partition_col: column, or several of which the first counts, whose values name the folders.
        timestamp_col: column to sort by.
        test_size: share of rows for the test.
        val_size: share of rows for validation.
        overwrite: whether what there is in the folder is deleted.
        cpu: not used.

    Raises:
        ValueError: if the two shares are more than all.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    train_size = 1 - val_size - test_size
    if train_size < 0:
        raise ValueError(f"test_size={test_size} and val_size={val_size} are more than 1: lower them")
    column = partition_col[0] if isinstance(partition_col, list) else partition_col
    table = _as_table(data)
    target = Path(output_dir)
    if overwrite and target.exists():
        shutil.rmtree(target)
    for value in pc.unique(table[column]).to_pylist():
        rows = table.filter(pc.equal(table[column], pa.scalar(value, table[column].type)))
        rows = rows.drop_columns([column]).sort_by(timestamp_col)
        drawn = np.random.RandomState(1).rand(rows.num_rows)
        parts = {
            "train": drawn <= train_size,
            "valid": (drawn > train_size) & (drawn <= train_size + val_size),
            "test": drawn > 1 - test_size,
        }
        folder = target / str(value)
        folder.mkdir(parents=True, exist_ok=True)
        for name, chosen in parts.items():
            with (
                whole_file(folder / f"{name}.parquet") as work,
                parquet_writer(work, rows.schema) as writer,
            ):
                writer.write_table(rows.filter(pa.array(chosen)))


def _as_table(data: Any) -> Any:
    import pyarrow as pa

    if hasattr(data, "to_ddf"):
        data = data.to_ddf()
    if hasattr(data, "compute"):
        data = data.compute()
    if isinstance(data, pa.Table):
        return data
    if hasattr(data, "to_arrow"):
        return data.to_arrow()
    if isinstance(data, str | list | Path):
        from merlin.io import Dataset

        return _as_table(Dataset(data))
    return pa.Table.from_pandas(data, preserve_index=False)
