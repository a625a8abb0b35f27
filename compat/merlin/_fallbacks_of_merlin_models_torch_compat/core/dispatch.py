"""``merlin.core.dispatch`` where merlin-core is not installed: data frames, by pandas on every machine."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from merlin.core._absent import only

__all__ = [
    "concat",
    "concat_columns",
    "get_lib",
    "is_dataframe_object",
    "is_list_dtype",
    "is_series_object",
    "make_df",
    "make_series",
]

__getattr__ = only(
    __name__,
    {
        "DataFrameType": "pandas:DataFrame",
        "SeriesType": "pandas:Series",
        "HAS_GPU": "merlin.core.compat:HAS_GPU",
        "cp": "merlin.core.compat:cupy",
        "cudf": "merlin.core.compat:cudf",
        "dask_cudf": "merlin.core.compat:dask_cudf",
        "np": "numpy",
        "pd": "pandas",
        "pa": "pyarrow",
        "pq": "pyarrow.parquet",
    },
)


def get_lib() -> ModuleType:
    """The library of data frames: pandas, also where there is a GPU.

    Raises:
        ImportError: if pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError("get_lib() gives pandas, which is not installed: pip install pandas") from error
    return pandas


def make_df(_like_df: Any = None, device: Any = None) -> Any:
    """A data frame of one, of a series, of a dictionary or of Arrow's table.

    Args:
        _like_df: what it is made of; nothing gives an empty one.
        device: not used.
    """
    pandas = get_lib()
    if isinstance(_like_df, pandas.Series):
        return _like_df.to_frame()
    if hasattr(_like_df, "to_pandas"):
        return _like_df.to_pandas()
    if isinstance(_like_df, dict):
        _like_df = {n: x.numpy() if hasattr(x, "numpy") else x for n, x in _like_df.items()}
    return pandas.DataFrame(_like_df)


def make_series(_like_ser: Any = None, device: Any = None) -> Any:
    """A series of values.

    Args:
        _like_ser: the values.
        device: not used.
    """
    return get_lib().Series(_like_ser)


def concat(objs: Any, **kwargs: Any) -> Any:
    """Data frames or series below one another, as ``pandas.concat`` has it."""
    return get_lib().concat(objs, **kwargs)


def concat_columns(args: list[Any]) -> Any:
    """Data frames beside one another, row by row; a single one as it is."""
    if len(args) == 1:
        return args[0]
    return get_lib().concat([one.reset_index(drop=True) for one in args], axis=1)


def is_dataframe_object(x: Any) -> bool:
    """Whether it is a data frame of pandas."""
    return isinstance(x, get_lib().DataFrame)


def is_series_object(x: Any) -> bool:
    """Whether it is a series of pandas."""
    return isinstance(x, get_lib().Series)


def is_list_dtype(ser: Any) -> bool:
    """Whether the rows of a series hold lists; the first that is not missing tells."""
    if getattr(ser, "dtype", None) != "object":
        return False
    found = next((value for value in ser if not _missing(value)), None)
    return isinstance(found, list | tuple) or (found is not None and getattr(found, "ndim", 0) > 0)


def _missing(value: Any) -> bool:
    return value is None or value != value if not hasattr(value, "__len__") else False
