"""Names of merlin-core, merlin-dataloader and merlin_standard_lib, and with them those of Merlin Models."""

from __future__ import annotations

from merlin_migrate.table.entry import Entry
from merlin_migrate.table.merlin_core import merlin_core
from merlin_migrate.table.merlin_datasets import merlin_datasets
from merlin_migrate.table.merlin_models_tf import merlin_models_tf
from merlin_migrate.table.merlin_models_torch import merlin_models_torch

_SCHEMA = "from-transformers4rec.md#schema-and-data"

_BELOW: tuple[Entry, ...] = (
    Entry(
        "merlin.schema.Schema",
        "alias",
        "mm.Schema",
        _SCHEMA,
        "Objects of the real merlin-core keep working wherever a schema is taken",
        also=("merlin.schema.schema.Schema",),
    ),
    Entry(
        "merlin.schema.ColumnSchema",
        "alias",
        "mm.ColumnSchema",
        _SCHEMA,
        also=("merlin.schema.schema.ColumnSchema",),
    ),
    Entry("merlin.schema.Tags", "alias", "mm.Tags", _SCHEMA, also=("merlin.schema.tags.Tags",)),
    Entry("merlin.schema.TagSet", "alias", "mm.schema.TagSet", _SCHEMA, also=("merlin.schema.tags.TagSet",)),
    Entry("merlin.schema.TagsType", "manual", "", _SCHEMA, "A type for annotations: list[mm.Tags | str]"),
    Entry("merlin.schema.schema.Domain", "alias", "mm.schema.Domain", _SCHEMA),
    Entry(
        "merlin.dataloader.torch.Loader",
        "adapter",
        "mm.ParquetLoader",
        _SCHEMA,
        "Loader(Dataset(path, schema=schema), batch_size=n) is mm.ParquetLoader(path, schema, batch_size=n)",
    ),
    Entry(
        "merlin.dataloader.torch.DLDataLoader",
        "manual",
        "mm.ParquetLoader",
        _SCHEMA,
        "A loader goes to the Trainer as it is",
    ),
    Entry(
        "merlin.dataloader.ops.embeddings.EmbeddingOperator",
        "manual",
        "mm.PretrainedEmbeddings",
        _SCHEMA,
        "mm.save_vectors writes the file of vectors, from original ids; the model looks them up",
    ),
    Entry(
        "merlin.dataloader.ops.embeddings.NumpyEmbeddingOperator",
        "unsupported",
        "EmbeddingOperator",
        _SCHEMA,
        "The later one takes a path with mmap=True, and id_lookup_table",
    ),
    Entry(
        "merlin.dataloader.ops.padding.Padding",
        "manual",
        "Ragged.padded",
        _SCHEMA,
        "The model pads a batch to its longest session",
    ),
    Entry(
        "merlin.io.MERLIN_METADATA_DIR_NAME",
        "manual",
        "",
        _SCHEMA,
        "mm.Schema.load finds the schema beside a data set",
    ),
    Entry(
        "merlin.io.Shuffle",
        "manual",
        "mm.ParquetLoader",
        _SCHEMA,
        "With shuffle=True it shuffles while it reads",
        also=("merlin.io.shuffle", "merlin.io.shuffle_df"),
    ),
    Entry(
        "merlin.io.DataFrameIter",
        "unsupported",
        "mm.ParquetLoader",
        _SCHEMA,
        "It reads in batches",
        also=("merlin.io.dataframe_iter",),
    ),
    Entry("merlin.io.dataset", "manual", "", _SCHEMA, "The module of merlin.io.Dataset"),
    Entry(
        "merlin.io.Dataset",
        "adapter",
        "mm.ParquetLoader",
        _SCHEMA,
        "Dataset(path).schema is mm.Schema.load(path); rows are read by the loader",
        also=("merlin.io.dataset.Dataset",),
    ),
    Entry(
        "merlin_standard_lib.Schema",
        "adapter",
        "mm.Schema",
        _SCHEMA,
        "Schema().from_json(file) and from_proto_text(file) are mm.Schema.load(file)",
        also=("merlin_standard_lib.schema.schema.Schema",),
    ),
    Entry(
        "merlin_standard_lib.ColumnSchema",
        "adapter",
        "mm.ColumnSchema",
        _SCHEMA,
        also=("merlin_standard_lib.schema.schema.ColumnSchema",),
    ),
    Entry(
        "merlin_standard_lib.Tag",
        "alias",
        "mm.Tags",
        _SCHEMA,
        "Write Tags.TARGET for Tag.TARGETS, which was gone by 23.12",
        also=(
            "merlin_standard_lib.schema.tag.Tag",
            "merlin_standard_lib.Tags",
            "merlin_standard_lib.schema.tag.Tags",
        ),
    ),
    Entry(
        "merlin_standard_lib.categorical_cardinalities",
        "manual",
        "schema.cardinality(name)",
        _SCHEMA,
        "One column at a time",
        also=(
            "merlin_standard_lib.schema.schema.categorical_cardinalities",
            "merlin_standard_lib.utils.embedding_utils.categorical_cardinalities",
        ),
    ),
    Entry(
        "merlin_standard_lib.utils.embedding_utils.get_embedding_sizes_from_schema",
        "manual",
        "",
        _SCHEMA,
        "Give embedding_dim to the input block",
    ),
    Entry(
        "merlin_standard_lib.utils.embedding_utils.get_embedding_size_from_cardinality",
        "manual",
        "",
        _SCHEMA,
        "Give embedding_dim to the input block",
    ),
    Entry(
        "merlin_standard_lib.proto",
        "manual",
        "tensorflow_metadata.proto.v0.schema_pb2",
        _SCHEMA,
        "ValueCount, IntDomain and the other parts of a column are the core's, others tensorflow-metadata's",
        also=("merlin_standard_lib.proto.schema_bp",),
    ),
)

MERLIN: tuple[Entry, ...] = (
    *_BELOW,
    *merlin_core(),
    *merlin_datasets(),
    *merlin_models_torch(),
    *merlin_models_tf(),
)
