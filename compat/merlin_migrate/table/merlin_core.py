"""Names of merlin-core that stand around a loader: data frames, operators, tables of a batch."""

from __future__ import annotations

from collections.abc import Iterator

from merlin_migrate.table.entry import Entry, Kind

_GUIDE = "from-transformers4rec.md#schema-and-data"
_OPERATOR = "Write a function of a batch, which gives a new one"
_COLUMNS = "A batch holds tensors and mm.Ragged columns by name"

_DTYPES = """uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 float64 string boolean object_
struct unknown datetime64 datetime64Y datetime64M datetime64D datetime64h datetime64m datetime64s datetime64ms
datetime64us datetime64ns"""

_HERE = (
    (
        "core.dispatch",
        """get_lib make_df make_series concat concat_columns is_list_dtype is_dataframe_object
        is_series_object DataFrameType SeriesType""",
        "The library of data frames is pandas here: import it",
    ),
    ("core.dispatch", "HAS_GPU", "Ask torch.cuda.is_available()"),
    ("core.compat", "HAS_GPU", "Ask torch.cuda.is_available()"),
    ("core.compat", "cupy cudf dask_cudf", "None here: nothing but torch uses a GPU"),
    ("dtypes", "dtype DType Dimension Shape aliases", "The same of mm.schema"),
    ("dtypes", _DTYPES, "Write its name where a dtype is taken, or mm.schema.dtype('int64')"),
    ("dtypes.aliases", _DTYPES, "Write its name where a dtype is taken, or mm.schema.dtype('int64')"),
    ("loader.torch", "Loader DLDataLoader", "The former name of merlin.dataloader.torch"),
    ("core.protocols", "Transformable DataFrameLike DictLike SeriesLike", "A type for annotations"),
    ("dag", "BaseOperator Operator ColumnSelector group_values_offsets ungroup_values_offsets", _OPERATOR),
    ("dag.operator", "Operator", _OPERATOR),
    ("dag.selector", "ColumnSelector", _OPERATOR),
    ("dag.utils", "group_values_offsets ungroup_values_offsets", _OPERATOR),
    ("table", "TensorTable TensorColumn NumpyColumn TorchColumn Device", _COLUMNS),
    ("table.tensor_table", "TensorTable", _COLUMNS),
    ("table.tensor_column", "TensorColumn Device", _COLUMNS),
    ("table.conversions", "convert_col", _COLUMNS),
    ("core.utils", "download_file", "Download with urllib"),
)
_NOT_HERE = (
    (
        "core.dispatch",
        """ExtData add_to_series annotate arange array build_cudf_list_column build_pandas_list_column
        columnwise_explode convert_data coo_matrix create_merlin_dataset create_multihot_col
        dataframe_columnwise_explode detect_format df_from_dict dict_from_df encode_list_column
        flatten_list_column flatten_list_column_values from_host generate_local_seed get_random_state
        hash_series hex_to_int is_cpu_object is_series_or_dataframe_object is_string_dtype list_val_dtype
        nullable_series parquet_writer_dispatch pull_apart_list random_state random_uniform read_dispatch
        read_parquet_dispatch read_parquet_metadata reinitialize series_has_nulls to_arrow to_host zeros""",
        "Write it with pandas, NumPy or pyarrow",
    ),
    (
        "core.utils",
        "Distributed Serial set_dask_client device_mem_size",
        "Start Dask clusters with dask.distributed",
    ),
    (
        "dag",
        "Graph Node iter_nodes postorder_iter_nodes preorder_iter_nodes",
        "Give a loader its operators as a list",
    ),
    ("dag", "DataFormats Supports", "An operator works on a merlin.table.TensorTable"),
    ("dag.operator", "DataFormats Supports", "An operator works on a merlin.table.TensorTable"),
    ("dtypes", "register mappings", "Types of numpy, torch and Arrow are known"),
    ("dag", "ops", "Name and tag columns with mm.ColumnSchema and Schema.select_by_tag"),
    ("table", "CupyColumn TensorflowColumn", "Columns are of NumPy or torch"),
    ("table", "df_from_tensor_table tensor_table_from_df", "Write TensorTable.to_df and from_df"),
    ("table.tensor_column", "create_tensor_column", "Call TensorColumn with the values and offsets"),
    ("dataloader.ops.padding", "pad_put_zeros", "Use the operator Padding"),
)


def merlin_core() -> Iterator[Entry]:
    """The entries; names of which the same is said share one."""
    kinds: dict[Kind, tuple[tuple[str, str, str], ...]] = {"manual": _HERE, "unsupported": _NOT_HERE}
    for kind, rows in kinds.items():
        for module, names, note in rows:
            name, *others = (f"merlin.{module}.{one}" for one in names.split())
            yield Entry(name, kind, "", _GUIDE, note, also=tuple(others))
