"""Names of Transformers4Rec 23.12.0 (PyTorch), in the order of the guide."""

from __future__ import annotations

from merlin_migrate.table.entry import Entry, Kind

_PAGE = "from-transformers4rec.md"
_TR = "transformers4rec.torch"
_LATER = "Keep the old version of this program for now"
_KEPT = "The drop-in runs it, the new API has no successor yet"


def _rows(
    kind: Kind, anchor: str, home: str, names: str, replacement: str = "", note: str = "", *, top: bool = True
) -> tuple[Entry, ...]:
    """Entries of one module that share everything; ``top``: exported by ``transformers4rec.torch`` too."""
    return tuple(
        Entry(
            f"{_TR}.{name}" if top else f"{home}.{name}",
            kind,
            replacement,
            f"{_PAGE}#{anchor}",
            note,
            also=(f"{home}.{name}",) if top else (),
        )
        for name in names.split()
    )


_INPUTS = (
    Entry(
        f"{_TR}.TabularSequenceFeatures",
        "adapter",
        "mm.TabularInputBlock",
        f"{_PAGE}#inputs",
        "from_schema(schema, ...) is the constructor",
        also=(f"{_TR}.features.sequence.TabularSequenceFeatures",),
    ),
    Entry(
        f"{_TR}.TabularSequenceFeatures.from_schema",
        "adapter",
        "mm.TabularInputBlock",
        f"{_PAGE}#inputs",
        also=(f"{_TR}.features.sequence.TabularSequenceFeatures.from_schema",),
        arguments={
            "schema": "schema",
            "max_sequence_length": "max_sequence_length, and pad_to: the old loader padded batches to it",
            "continuous_projection": "continuous_projection",
            "aggregation": "aggregation",
            "d_output": "projection=mm.MLPBlock([d_output])",
            "projection": "projection",
            "masking": "masking=mm.RandomMasking(...) or another, see the table of maskings",
            "embedding_dim_default": "embedding_dim",
            "embedding_dims": "embedding_dim",
            "embeddings_initializers": "embeddings={column: mm.EmbeddingTable(..., weights=matrix)}",
            "continuous_soft_embeddings": "embeddings={column: mm.SoftEmbedding(...)}",
            "post": 'layer_norm=True for "layer-norm"',
        },
    ),
    *_rows(
        "manual",
        "inputs",
        f"{_TR}.features.sequence",
        "SequenceEmbeddingFeatures",
        "mm.TabularInputBlock",
        "mm.TabularInputBlock over a schema of categorical columns does the same work",
    ),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.features.embedding",
        "EmbeddingFeatures FeatureConfig TableConfig",
        "",
        "mm.TabularInputBlock builds its embedding tables from the schema",
    ),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.features.embedding",
        "PretrainedEmbeddingFeatures",
        "",
        _KEPT,
    ),
    *_rows(
        "adapter",
        "inputs",
        f"{_TR}.features.embedding",
        "PretrainedEmbeddingsInitializer",
        "mm.EmbeddingTable",
        "Its weights and trainable, in embeddings={column: table} of the input block",
    ),
    *_rows(
        "manual",
        "inputs",
        f"{_TR}.features.embedding",
        "SoftEmbedding SoftEmbeddingFeatures",
        "mm.SoftEmbedding",
        "In embeddings={column: module} of the input block",
    ),
    *_rows("manual", "not-yet", f"{_TR}.features.embedding", "EmbeddingBagWrapper", "", _KEPT, top=False),
    *_rows(
        "manual",
        "inputs",
        f"{_TR}.features.continuous",
        "ContinuousFeatures",
        "mm.TabularInputBlock",
        "It takes continuous columns as they are, or through continuous_projection",
    ),
    *_rows("manual", "not-yet", f"{_TR}.features.tabular", "TabularFeatures", "", _KEPT),
    *_rows("manual", "not-yet", f"{_TR}.features.base", "InputBlock", "", _KEPT, top=False),
)

_TABULAR = (
    *_rows(
        "manual",
        "inputs",
        f"{_TR}.tabular.aggregation",
        "ConcatFeatures",
        "",
        'Give aggregation="concat" to mm.TabularInputBlock',
    ),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.tabular.aggregation",
        "StackFeatures ElementwiseSum ElementwiseSumItemMulti",
        "",
        _KEPT,
    ),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.tabular.aggregation",
        "ElementwiseFeatureAggregation",
        "",
        _KEPT,
        top=False,
    ),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.tabular.base",
        "AsTabular FilterFeatures MergeTabular SequentialTabularTransformations TabularAggregation"
        " TabularBlock TabularModule TabularTransformation",
        "",
        _KEPT,
    ),
    *_rows("manual", "not-yet", f"{_TR}.tabular.base", "merge_tabular", "", _KEPT, top=False),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.tabular.transformations",
        "StochasticSwapNoise TabularDropout TabularLayerNorm",
        "",
        _KEPT,
    ),
)

_MASKING = (
    *_rows(
        "behaviour differs",
        "masking",
        f"{_TR}.masking",
        "CausalLanguageModeling",
        "mm.CausalMasking",
        "By default the body is causal too and the target does not leak",
        top=False,
    ),
    *_rows(
        "behaviour differs",
        "masking",
        f"{_TR}.masking",
        "MaskedLanguageModeling",
        "mm.RandomMasking",
        "By default padding is not attended to",
        top=False,
    ),
    *_rows(
        "behaviour differs",
        "masking",
        f"{_TR}.masking",
        "PermutationLanguageModeling",
        "mm.PermutedMasking",
        "With XLNetBlock(..., two_streams=True); prediction is for the item after the last",
        top=False,
    ),
    *_rows(
        "behaviour differs",
        "masking",
        f"{_TR}.masking",
        "ReplacementLanguageModeling",
        "mm.RandomMasking",
        "It hides items as MaskedLanguageModeling does; mm.ReplacedItemModel also replaces and detects them",
        top=False,
    ),
    *_rows(
        "adapter",
        "masking",
        f"{_TR}.masking",
        "MaskSequence MaskingInfo",
        "mm.OwnMasking",
        "A subclass defines hidden(), which gives the pair that MaskingInfo was",
        top=False,
    ),
)

_BODY = (
    Entry(
        f"{_TR}.SequentialBlock",
        "adapter",
        "mm.Block",
        f"{_PAGE}#body",
        also=(f"{_TR}.block.base.SequentialBlock",),
        arguments={"output_size": "left out, sizes are found from the schema", "filter": "manual"},
    ),
    Entry(
        f"{_TR}.MLPBlock",
        "adapter",
        "mm.MLPBlock",
        f"{_PAGE}#body",
        also=(f"{_TR}.block.mlp.MLPBlock",),
        arguments={"dimensions": "dimensions, a list"},
    ),
    *_rows(
        "manual",
        "body",
        f"{_TR}.block.mlp",
        "DenseBlock",
        "mm.MLPBlock",
        "An MLPBlock of one layer",
        top=False,
    ),
    Entry(
        f"{_TR}.TransformerBlock",
        "adapter",
        "mm.XLNetBlock",
        f"{_PAGE}#body",
        "The block is what the config becomes; the masking is given to the inputs only",
        also=(f"{_TR}.block.transformer.TransformerBlock",),
    ),
    Entry(
        f"{_TR}.XLNetConfig",
        "adapter",
        "mm.XLNetBlock",
        f"{_PAGE}#body",
        also=("transformers4rec.config.transformer.XLNetConfig",),
    ),
    Entry(
        f"{_TR}.XLNetConfig.build",
        "argument renamed",
        "mm.XLNetBlock",
        f"{_PAGE}#body",
        also=("transformers4rec.config.transformer.XLNetConfig.build",),
        arguments={
            "d_model": "the first argument",
            "n_head": "heads",
            "n_layer": "layers",
            "dropout": "dropout (0.3 where it was not given)",
            "total_seq_length": "left out, positions are relative",
        },
    ),
    *_rows(
        "manual",
        "body",
        "transformers4rec.config.transformer",
        "AlbertConfig ElectraConfig GPT2Config LongformerConfig ReformerConfig",
        "mm.HuggingFaceBlock",
        "It takes the configuration of the same name from transformers",
    ),
    *_rows(
        "manual",
        "body",
        "transformers4rec.config.transformer",
        "TransfoXLConfig",
        "mm.TransformerXLBlock",
        "There a position sees those before it, here with mem_len=1 only itself",
    ),
    *_rows(
        "manual",
        "body",
        "transformers4rec.config.transformer",
        "T4RecConfig",
        "mm.XLNetBlock",
        "A config is the block itself",
    ),
    *_rows(
        "manual",
        "body",
        "transformers4rec.config.transformer",
        "BertConfig RobertaConfig",
        "mm.HuggingFaceBlock",
        "It takes the configuration of the same name from transformers",
        top=False,
    ),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.block.transformer",
        "TransformerPrepare GPT2Prepare",
        "",
        _KEPT,
        top=False,
    ),
    *_rows(
        "manual",
        "body",
        f"{_TR}.block.base",
        "Block BlockBase build_blocks",
        "mm.Block",
        "A plain nn.Module is a block; mm.Block runs modules one after the other",
    ),
    *_rows(
        "manual",
        "body",
        f"{_TR}.block.base",
        "BuildableBlock",
        "mm.Block",
        "Sizes are found when the model is made",
        top=False,
    ),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.block.base",
        "right_shift_block",
        "",
        "Write the blocks in order in mm.Block",
    ),
)

_MODEL = (
    Entry(
        f"{_TR}.Head",
        "adapter",
        "mm.Model",
        f"{_PAGE}#model",
        "mm.Model(body, output) takes body and output at once",
        also=(f"{_TR}.model.base.Head",),
    ),
    Entry(
        f"{_TR}.Model",
        "adapter",
        "mm.Model",
        f"{_PAGE}#model",
        "A LightningModule: lightning.Trainer fits, validates and predicts",
        also=(f"{_TR}.model.base.Model",),
    ),
    Entry(
        f"{_TR}.NextItemPredictionTask",
        "adapter",
        "mm.CategoricalOutput",
        f"{_PAGE}#model",
        also=(f"{_TR}.model.prediction_task.NextItemPredictionTask",),
        arguments={
            "weight_tying": "weight_tying",
            "metrics": "metrics=(names), top_ks=(cut-offs)",
            "loss": "left out where it is cross entropy; label_smoothing for LabelSmoothCrossEntropyLoss",
            "target_dim": "left out, the catalogue is the schema's",
        },
    ),
    Entry(
        f"{_TR}.Head.from_schema",
        "manual",
        "mm.TabularOutputBlock(schema)",
        f"{_PAGE}#model",
        "It makes an output for each column that the schema tags as a target",
        also=(f"{_TR}.model.base.Head.from_schema",),
    ),
    *_rows(
        "adapter",
        "model",
        f"{_TR}.model.prediction_task",
        "BinaryClassificationTask",
        "mm.BinaryOutput",
        "BinaryOutput(target, bias=False); several tasks are mm.TabularOutputBlock",
    ),
    *_rows(
        "adapter",
        "model",
        f"{_TR}.model.prediction_task",
        "RegressionTask",
        "mm.RegressionOutput",
        "RegressionOutput(target); several tasks are mm.TabularOutputBlock",
    ),
    *_rows(
        "manual",
        "model",
        f"{_TR}.model.base",
        "PredictionTask",
        "",
        "A subclass of merlin_models_torch.outputs.Output defines its own loss and answers",
    ),
    *_rows(
        "manual",
        "model",
        f"{_TR}.model.prediction_task",
        "BinaryClassificationPrepareBlock RegressionPrepareBlock NextItemPredictionPrepareBlock",
        "",
        "The outputs make their last layer themselves",
        top=False,
    ),
    *_rows(
        "manual",
        "model",
        f"{_TR}.model.prediction_task",
        "LogUniformSampler",
        "mm.DistinctNegatives",
        "mm.ContrastiveOutput(negatives=mm.DistinctNegatives(count), log_q='all') is the sampled softmax",
        top=False,
    ),
    *_rows(
        "adapter",
        "model",
        f"{_TR}.losses",
        "LabelSmoothCrossEntropyLoss",
        "mm.CategoricalOutput(label_smoothing=...)",
    ),
)

_METRICS = tuple(
    Entry(
        f"{_TR}.ranking_metric.{name}",
        "adapter",
        f'mm.CategoricalOutput(metrics=("{new}",), top_ks=...)',
        f"{_PAGE}#metrics",
        arguments={"top_ks": "top_ks of the output, for all its metrics", "labels_onehot": "left out"},
    )
    for name, new in (
        ("NDCGAt", "ndcg"),
        ("RecallAt", "recall"),
        ("PrecisionAt", "precision"),
        ("AvgPrecisionAt", "map"),
        ("MeanReciprocalRankAt", "mrr"),
    )
) + _rows(
    "manual", "metrics", f"{_TR}.ranking_metric", "DCGAt RankingMetric", "", "NDCG is offered", top=False
)

_TRAINING = (
    Entry(
        f"{_TR}.Trainer",
        "adapter",
        "lightning.Trainer",
        f"{_PAGE}#training",
        "fit and validate take the model and a loader for each time window",
        also=(f"{_TR}.trainer.Trainer",),
    ),
    *(
        Entry(
            f"{_TR}.Trainer.{name}",
            "adapter",
            replacement,
            f"{_PAGE}#training",
            note,
            also=(f"{_TR}.trainer.Trainer.{name}",),
        )
        for name, replacement, note in (
            ("train", "lightning.Trainer(...).fit(model, loader)", ""),
            ("evaluate", "lightning.Trainer(...).validate(model, loader)", ""),
            ("predict", "model.predict(data, k=...)", "Answers are a table of original ids and scores"),
            (
                "reset_lr_scheduler",
                "a new lightning.Trainer for each window",
                "The schedule starts anew with each fit",
            ),
            ("train_dataset_or_path", "mm.ParquetLoader(path, schema, shuffle=True, ...)", ""),
            ("eval_dataset_or_path", "mm.ParquetLoader(path, schema, ...)", ""),
            ("test_dataset_or_path", "mm.ParquetLoader(path, schema, ...)", ""),
        )
    ),
    Entry(
        "transformers4rec.config.trainer.T4RecTrainingArguments",
        "adapter",
        "lightning.Trainer, mm.ParquetLoader",
        f"{_PAGE}#training",
        "Epochs go to the trainer, batch sizes to the loaders, the learning rate to the optimiser",
        also=(f"{_TR}.T4RecTrainingArguments",),
        arguments={
            "output_dir": "default_root_dir of lightning.Trainer",
            "num_train_epochs": "max_epochs of lightning.Trainer",
            "max_sequence_length": "max_sequence_length of the loaders",
            "per_device_train_batch_size": "batch_size of the training loader",
            "per_device_eval_batch_size": "batch_size of the evaluation loader",
            "learning_rate": "learning rate of the optimiser",
            "data_loader_engine": "left out, there is one loader",
            "report_to": "logger of lightning.Trainer",
            "no_cuda": 'accelerator="cpu" of lightning.Trainer',
            "use_cpu": 'accelerator="cpu" of lightning.Trainer',
            "seed": "lightning.seed_everything(seed)",
        },
    ),
    *_rows(
        "unsupported",
        "not-yet",
        "transformers4rec.config.trainer",
        "T4RecTrainingArgumentsTF",
        "",
        "TensorFlow is not supported",
        top=False,
    ),
    *_rows(
        "manual",
        "training",
        f"{_TR}.trainer",
        "IncrementalLoggingCallback",
        "",
        "Loggers and callbacks are Lightning's",
        top=False,
    ),
    *_rows(
        "adapter",
        "loaders-and-loops",
        f"{_TR}.utils.data_utils",
        "MerlinDataLoader",
        "mm.ParquetLoader",
        "from_schema(schema, path, ...) is the constructor; it gives batches, not pairs",
        top=False,
    ),
    *_rows(
        "manual",
        "schema-and-data",
        f"{_TR}.utils.data_utils",
        "PyarrowDataLoader DLDataLoader T4RecDataLoader",
        "mm.ParquetLoader",
        "One loader reads every parquet file",
        top=False,
    ),
    *_rows(
        "manual",
        "schema-and-data",
        f"{_TR}.utils.data_utils",
        "ParquetDataset ShuffleDataset",
        "mm.ParquetLoader",
        "One loader reads every parquet file",
        top=False,
    ),
    *_rows(
        "manual",
        "training",
        f"{_TR}.utils.examples_utils",
        "fit_and_evaluate",
        "lightning.Trainer",
        "Write the loop over time windows out",
        top=False,
    ),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.utils.examples_utils",
        "list_files visualize_response wipe_memory",
        "",
        "A helper of the examples",
        top=False,
    ),
)

_DATA = (
    Entry(
        f"{_TR}.Schema",
        "adapter",
        "mm.Schema",
        f"{_PAGE}#schema-and-data",
        "Schema().from_json(file) and from_proto_text(file) are mm.Schema.load(file)",
    ),
    *_rows(
        "manual",
        "not-yet",
        "transformers4rec.config.schema",
        "requires_schema",
        "",
        "Give the schema as an argument",
    ),
    *_rows(
        "manual",
        "not-yet",
        "transformers4rec.config.schema",
        "SchemaMixin",
        "",
        "Give the schema as an argument",
        top=False,
    ),
    *(
        Entry(
            f"transformers4rec.data.{name}",
            "manual",
            "mm.data.generate_sessions",
            f"{_PAGE}#schema-and-data",
            "Generated, with the columns of 23.12.0 and other values",
            also=(f"transformers4rec.data.testing.{home}dataset.{name}", f"{_TR}.data.{name}"),
        )
        for name, home in (
            ("tabular_sequence_testing_data", ""),
            ("tabular_testing_data", "tabular_data."),
            ("music_streaming_testing_data", "music_streaming."),
        )
    ),
    *_rows(
        "manual",
        "schema-and-data",
        "transformers4rec.data.synthetic",
        "generate_session_interactions generate_item_interactions synthetic_ecommerce_data_schema",
        "mm.data.generate_sessions",
        "Other columns, made for a model to learn from",
        top=False,
    ),
    *_rows(
        "manual",
        "schema-and-data",
        "transformers4rec.utils.data_utils",
        "remove_consecutive_interactions session_aggregator save_time_based_splits"
        " add_item_first_seen_col_to_df",
        "mm.data.sessions_from_events",
        "Events to sessions with splits, in one call",
        top=False,
    ),
    *_rows(
        "manual",
        "schema-and-data",
        "transformers4rec.data.dataset",
        "Dataset ParquetDataset",
        "mm.Schema.load",
        "The schema is read beside the data",
        top=False,
    ),
)

_HELPERS = (
    *_rows("manual", "not-yet", f"{_TR}.model.base", "name_fn", "", "An internal helper", top=False),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.trainer",
        "process_metrics DatasetMock",
        "",
        "An internal helper",
        top=False,
    ),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.utils.torch_utils",
        "OutputSizeMixin LossMixin MetricsMixin check_gpu get_output_sizes_from_schema"
        " calculate_batch_size_from_input_size nested_detach nested_concat nested_numpify nested_truncate"
        " LambdaModule",
        "",
        "An internal helper",
        top=False,
    ),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.utils.torch_utils",
        "check_inputs extract_topk create_output_placeholder tranform_label_to_onehot"
        " torch_pad_and_concatenate atleast_1d numpy_pad_and_concatenate one_hot_1d"
        " MappingTransformerMasking",
        "",
        "An internal helper",
        top=False,
    ),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.utils.data_utils",
        "to_core_schema",
        "",
        "One Schema serves",
        top=False,
    ),
    *_rows(
        "manual",
        "not-yet",
        f"{_TR}.utils.schema_utils",
        "random_data_from_schema",
        "",
        "mm.data.generate_sessions makes sessions to try things on",
        top=False,
    ),
    *_rows("manual", "not-yet", f"{_TR}.experimental", "PostContextFusion", "", _KEPT, top=False),
    *_rows(
        "manual",
        "not-yet",
        "transformers4rec.data.yoochoose",
        "download process_clicks",
        "",
        "Read the file with pandas or polars and give it to mm.data.sessions_from_events",
        top=False,
    ),
    *_rows(
        "manual",
        "not-yet",
        "transformers4rec.utils.data_utils",
        "DataFrameType FIRST_SEEN_ITEM_COL_NAME",
        "",
        "A helper of types",
        top=False,
    ),
    *_rows(
        "manual",
        "not-yet",
        "transformers4rec.utils.dependencies",
        "is_gpu_dataloader_available is_pyarrow_available is_merlin_dataloader_available",
        "",
        "pyarrow is always there, there is one loader",
        top=False,
    ),
)

_REGISTRIES_AND_TYPES = (
    *(
        row
        for home, names in (
            ("transformers4rec.config.transformer", "transformer_registry"),
            (f"{_TR}.masking", "masking_registry"),
            (f"{_TR}.ranking_metric", "ranking_metrics_registry"),
            (f"{_TR}.tabular.base", "tabular_aggregation_registry tabular_transformation_registry"),
            (f"{_TR}.utils.data_utils", "dataloader_registry"),
        )
        for row in _rows(
            "manual", "not-yet", home, names, "", "Give an object instead of a registered name", top=False
        )
    ),
    *(
        row
        for home, names in (
            (f"{_TR}.block.base", "BlockOrModule BlockType"),
            (f"{_TR}.block.transformer", "TransformerBody"),
            (f"{_TR}.features.sequence", "TabularFeaturesType"),
            (
                f"{_TR}.tabular.base",
                "TabularAggregationType TabularTransformationType TabularTransformationsType",
            ),
            (f"{_TR}.typing", "TabularData TensorOrTabularData"),
            ("merlin_standard_lib.schema.schema", "ColumnSchemaOrStr FilterT ProtoMessageType"),
        )
        for row in _rows("manual", "not-yet", home, names, "", "A type alias", top=False)
    ),
    *_rows("manual", "not-yet", f"{_TR}.utils.torch_utils", "requires_schema", "", _KEPT, top=False),
)

_BEFORE_23_12 = (
    Entry(
        f"{_TR}.utils.data_utils.NVTabularDataLoader",
        "manual",
        "mm.ParquetLoader",
        f"{_PAGE}#schema-and-data",
        "MerlinDataLoader by its name of before 22.12; sparse_names are its lists, sparse_max its length",
    ),
    Entry(
        f"{_TR}.trainer.HFWrapper",
        "manual",
        "",
        f"{_PAGE}#training",
        "It gave columns as keyword arguments; the Trainer of 23.12 takes the model itself",
    ),
    *_rows(
        "manual",
        "schema-and-data",
        "transformers4rec.data.preprocessing",
        "FIRST_SEEN_ITEM_COL_NAME add_item_first_seen_col_to_df remove_consecutive_interactions"
        " save_time_based_splits session_aggregator",
        "mm.data.sessions_from_events",
        "In transformers4rec.utils.data_utils since 23.04",
        top=False,
    ),
)

TRANSFORMERS4REC: tuple[Entry, ...] = (
    *_INPUTS,
    *_TABULAR,
    *_MASKING,
    *_BODY,
    *_MODEL,
    *_METRICS,
    *_TRAINING,
    *_DATA,
    *_HELPERS,
    *_REGISTRIES_AND_TYPES,
    *_BEFORE_23_12,
)
