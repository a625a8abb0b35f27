"""Names of ``merlin.models.torch``: V2 (23.12), V1 (until 23.02), and suffixed ones."""

from __future__ import annotations

from merlin_migrate.table.entry import Entry, Kind
from merlin_migrate.table.rows import Row, rows
from merlin_migrate.table.transformers4rec import TRANSFORMERS4REC

_PACKAGE = "merlin.models.torch"
_PAGE = "from-merlin-models-torch.md"
_LAZY = "It takes its columns when it is made; the legacy one may get them later"
_SCRIPT = "It served TorchScript; the new way is torch.export, where nothing is wrapped"
_PRIVATE = "A part of the old containers that programs have no need of"
_DASK = "The model answers for a table or a file; the legacy one reads rows as one frame, without Dask"
_TRACED = "Of a block of the core; the legacy one also knows what schema.trace saw"

_BLOCKS: tuple[Row, ...] = (
    ("adapter", "block", "Block BatchBlock ShortcutBlock", "mm.*", "Without name="),
    (
        "adapter",
        "block",
        "ParallelBlock",
        "mm.*",
        "append and prepend return a new block instead of growing it",
    ),
    (
        "adapter",
        "block",
        "ResidualBlock",
        "mm.*",
        'With shortcut="first" each output is added to the first input',
    ),
    (
        "adapter",
        "block",
        "repeat repeat_parallel repeat_parallel_like",
        "mm.*",
        "Arguments are times and agg=",
    ),
    ("manual", "!block", "HasKeys", "", "Anything with keys() is taken"),
    ("manual", "!block", "get_pre set_pre", "mm.BatchBlock", "Put it before the input block"),
    (
        "behaviour differs",
        "blocks.experts",
        "CGCBlock PLEBlock",
        "mm.*",
        "A shared gate, which PLEBlock has in all layers but the last, weighs the experts of all tasks, as "
        "the paper does; 23.12's weighed the shared ones alone",
    ),
    ("adapter", "blocks.experts", "MMOEBlock", "mm.*", "num_experts is given by name"),
    ("manual", "!blocks.experts", "ExpertGateBlock=ExpertGate GateBlock=ExpertGate", "mm.*", _PRIVATE),
    (
        "manual",
        "!blocks.experts",
        "PLEExpertGateBlock=CGCBlock SoftmaxGate=ExpertGate",
        "mm.*",
        _PRIVATE,
    ),
    ("adapter", "blocks.attention", "CrossAttentionBlock", "mm.*", "dim= and heads= instead of attention="),
    ("adapter", "blocks.cross", "CrossBlock", "mm.*", "CrossBlock.with_depth(n) is mm.CrossBlock(n)"),
    ("manual", "!blocks.cross", "LazyMirrorLinear=CrossBlock", "mm.*", _PRIVATE),
    (
        "adapter",
        "blocks.dlrm",
        "DLRMBlock",
        "mm.*",
        "It takes vectors by name: mm.TabularInputBlock(schema, aggregation=mm.DLRMBlock(...))",
    ),
    ("adapter", "!blocks.dlrm", "DLRMInputBlock=TabularInputBlock", "mm.*", ""),
    ("adapter", "!blocks.dlrm", "DLRMInteraction=DotInteraction", "mm.*", ""),
    ("manual", "!blocks.dlrm", "InteractionBlock=DLRMBlock", "mm.*", _PRIVATE),
    (
        "behaviour differs",
        "blocks.mlp",
        "MLPBlock",
        "mm.*",
        'activation and normalization are names, and normalization="batch" comes before the activation',
    ),
    ("manual", "!container", "BlockContainer=Block", "mm.*", _PRIVATE),
    ("manual", "!container", "BlockContainerDict=ParallelBlock", "mm.*", _PRIVATE),
    (
        "adapter",
        "functional",
        "map walk",
        "mm.*",
        "Further arguments for the function are bound by functools.partial",
    ),
    ("manual", "!functional", "ContainerMixin=Block HasBool=Block", "mm.*", _PRIVATE),
    (
        "manual",
        "!functional",
        "map_module=map map_module_dict=map map_module_list=map",
        "mm.*",
        _PRIVATE,
    ),
    (
        "manual",
        "!registry",
        "Registry RegistryMixin TorchRegistryMixin registry",
        "",
        "Write the class itself",
    ),
    ("adapter", "!utils.traversal_utils", "find leaf", "mm.*", "find gives the outer before the inner"),
    (
        "manual",
        "!utils.traversal_utils",
        "TraversableMixin=find",
        "mm.*",
        "Blocks have find, leaf, map and walk",
    ),
    ("manual", "!utils.module_utils", "initialize", "", "A model of the core has all sizes when it is made"),
    ("manual", "!utils.module_utils", "check_batch_arg is_tabular", "", _PRIVATE),
    ("manual", "!utils.module_utils", "module_test", "", _SCRIPT),
    ("unsupported", "!utils.torchscript_utils", "TorchScriptWrapper", "", _SCRIPT),
)
_INPUTS: tuple[Row, ...] = (
    (
        "adapter",
        "inputs.embedding",
        "EmbeddingTable",
        "mm.*",
        "Columns first; combiner= instead of seq_combiner=",
    ),
    (
        "adapter",
        "inputs.embedding",
        "EmbeddingTables",
        "mm.*",
        "Columns first; embedding_dim= instead of dim=",
    ),
    ("adapter", "!inputs.embedding", "infer_embedding_dim", "mm.inferred_dim", "Of the number of rows"),
    ("manual", "!inputs.embedding", "Domain", "", "schema.cardinality(name) gives the number of rows"),
    ("adapter", "inputs.select", "SelectFeatures SelectKeys", "mm.*", _LAZY),
    (
        "adapter",
        "inputs.tabular",
        "TabularInputBlock",
        "mm.*",
        'It has its embeddings from the start, as with init="defaults"; mm.RouterBlock has routes',
    ),
    ("manual", "inputs.tabular", "stack_context", "mm.TabularInputBlock", 'Give context="stack"'),
    ("manual", "!inputs.tabular", "defaults", "mm.TabularInputBlock", 'Give combiner="mean"'),
    ("manual", "!inputs.tabular", "defaults_no_combiner", "mm.TabularInputBlock", "Give no combiner"),
    (
        "manual",
        "!inputs.tabular",
        "defaults_broadcast_to_seq",
        "mm.TabularInputBlock",
        'context="broadcast" is the default',
    ),
    ("adapter", "router", "RouterBlock", "mm.*", "name=, required= and shared= are given by name"),
    ("adapter", "transforms.agg", "Concat", "mm.*", "Without align_dims="),
    (
        "behaviour differs",
        "transforms.agg",
        "Stack",
        "mm.*",
        "The new dimension is before the width; give dim=0 for the first",
    ),
    ("adapter", "!transforms.agg", "ElementWiseSum=ElementwiseSum", "mm.*", ""),
    ("adapter", "!transforms.agg", "MaybeAgg=Concat", "mm.*", "Aggregations leave a tensor as it is"),
    ("manual", "!transforms.agg", "AggModule", "", "A plain nn.Module is enough for an aggregation"),
    ("adapter", "transforms.sequences", "BroadcastToSequence", "mm.*", "It takes the names of the context"),
    (
        "manual",
        "transforms.sequences",
        "TabularPadding",
        "mm.TabularInputBlock",
        "It pads, with max_sequence_length and pad_to",
    ),
    ("manual", "!transforms.sequences", "TabularPaddingModule", "mm.TabularInputBlock", "It pads"),
    (
        "manual",
        "!transforms.sequences",
        "TabularPredictNext TabularPredictNextModule TabularSequenceTransform",
        "mm.CausalMasking",
        "Given to mm.TabularInputBlock as masking=, it makes the targets",
    ),
    (
        "manual",
        "!transforms.tuple",
        "ToTuple ToTuple1 ToTuple2 ToTuple3 ToTuple4 ToTuple5 ToTuple6 ToTuple7 ToTuple8 ToTuple9 ToTuple10 "
        "ToTupleModule",
        "",
        _SCRIPT,
    ),
)
_OUTPUTS: tuple[Row, ...] = (
    (
        "adapter",
        "outputs.base",
        "ModelOutput",
        "merlin_models_torch.outputs.Output",
        "What a model asks of its output",
    ),
    ("adapter", "outputs.classification", "BinaryOutput", "mm.*", "It gives logits; metrics are names"),
    ("adapter", "outputs.regression", "RegressionOutput", "mm.*", "Metrics are names"),
    (
        "adapter",
        "outputs.classification",
        "CategoricalOutput",
        "mm.ClassificationOutput",
        "For labels; mm.CategoricalOutput is for items of a catalogue",
    ),
    ("manual", "outputs.classification", "CategoricalTarget", "mm.ClassificationOutput", ""),
    (
        "manual",
        "outputs.classification",
        "EmbeddingTablePrediction",
        "mm.CategoricalOutput",
        "With weight_tying=True",
    ),
    ("manual", "!outputs.classification", "categorical_output_schema", "mm.output_schema", ""),
    (
        "manual",
        "!outputs.classification",
        "create_retrieval_metrics",
        "mm.RankingMetrics",
        "Outputs take names and top_ks=",
    ),
    (
        "adapter",
        "outputs.tabular",
        "TabularOutputBlock",
        "mm.*",
        'It has its outputs from the start, as with init="defaults"',
    ),
    ("manual", "!outputs.tabular", "defaults", "mm.TabularOutputBlock", ""),
    (
        "manual",
        "!outputs.contrastive",
        "ContrastiveOutput",
        "mm.*",
        "With negatives= instead of negative_sampling=",
    ),
    ("manual", "!outputs.contrastive", "DotProduct", "mm.*", "Of query and candidate by position"),
    (
        "manual",
        "!outputs.contrastive",
        "rescore_false_negatives",
        "mm.ContrastiveOutput",
        "It leaves them out",
    ),
    (
        "manual",
        "!outputs.sampling",
        "InBatchNegativeSampler=InBatchNegatives PopularityBasedSampler=PopularityNegatives",
        "mm.*",
        "Given as negatives=",
    ),
    (
        "manual",
        "!outputs.sampling.in_batch",
        "InBatchNegativeSampler=InBatchNegatives",
        "mm.*",
        "Given as negatives=",
    ),
    (
        "manual",
        "!outputs.sampling.popularity",
        "PopularityBasedSampler=PopularityNegatives LogUniformSampler=PopularityNegatives",
        "mm.*",
        "Given as negatives=",
    ),
    (
        "manual",
        "!transforms.bias",
        "LogitsTemperatureScaler",
        "mm.CategoricalOutput",
        "Outputs have temperature=",
    ),
)
_MODELS: tuple[Row, ...] = (
    (
        "behaviour differs",
        "models.base",
        "Model",
        "mm.*",
        "It takes batches of mm.ParquetLoader, has all sizes from the start, and its optimizer= counts",
    ),
    (
        "adapter",
        "models.base",
        "MultiLoader",
        "mm.SessionDataModule",
        "Or give mm.ParquetLoader objects to the Trainer",
    ),
    (
        "adapter",
        "!models.base",
        "compute_loss",
        "mm.Step",
        'mm.Step(model, batch, "train").results has the loss and metrics',
    ),
    (
        "adapter",
        "!models.base",
        "create_optimizer",
        "mm.OptimizerConfig",
        "In a loop of one's own the class of torch.optim with the model's parameters",
    ),
    ("manual", "!models.base", "get_scheduler", "mm.OptimizerConfig", ""),
    (
        "adapter",
        "models.ranking",
        "DLRMModel",
        "mm.*",
        "embedding_dim=, and towers as lists of units: bottom= and top=",
    ),
    (
        "adapter",
        "models.ranking",
        "DCNModel",
        "mm.*",
        'deep= as a list of units, structure="stacked" or "parallel"',
    ),
    ("adapter", "batch", "Batch", "mm.*", "Lists are mm.Ragged"),
    ("manual", "batch", "Sequence", "mm.Batch", "batch.lengths(name) gives the lengths"),
    ("manual", "!batch", "sample_batch sample_features", "mm.ParquetLoader", "next(iter(loader))"),
    ("manual", "predict", "DaskEncoder DaskPredictor", "mm.Model.predict", _DASK),
    ("manual", "predict", "EncoderBlock", "mm.Model.predict", "model.encode_candidates gives vectors"),
    ("manual", "!predict", "safe_concat_columns to_tensor_table", "mm.Model.predict", _DASK),
    ("adapter", "schema", "feature_schema input_schema output_schema target_schema", "mm.*", _TRACED),
    ("adapter", "!schema", "select extract", "mm.*", _TRACED),
    (
        "manual",
        "!schema",
        "LazySchemaModuleMixin Selectable default_tag_propagation initialize_from_schema select_schema "
        "select_union selection_name trace",
        "mm.Schema.select",
        "Blocks take their schema when they are made, and a list is the union of its selections",
    ),
)
_UTILS: tuple[Row, ...] = (
    (
        "unsupported",
        "!nvt_utils",
        "require_nvt",
        "mm.data.sessions_from_events",
        "NVTabular is not needed: sessions are made from tables, ids by mm.Vocabulary",
    ),
    (
        "unsupported",
        "!example_utils",
        "workflow_fit_transform",
        "mm.data.sessions_from_events",
        "It ran a workflow of NVTabular: write its steps with pandas or pyarrow, ids with mm.Vocabulary",
    ),
    (
        "unsupported",
        "!example_utils",
        "save_results",
        "",
        "It wrote what Keras had measured: trainer.validate gives the measures",
    ),
    (
        "unsupported",
        "!ci_utils",
        "get_changed_backends backend_has_changed",
        "",
        "It served the tests of its own repository, ask git diff --name-only",
    ),
    (
        "unsupported",
        "!misc_utils",
        "get_parquet_files_names",
        "mm.ParquetLoader",
        "It made paths of folders by time, data_path/0001/train.parquet: write them out",
    ),
    (
        "unsupported",
        "!misc_utils",
        "validate_dataset",
        "mm.ParquetLoader",
        "It opened a path with merlin.io.Dataset(path), which takes files, folders and globs",
    ),
)
_SUFFIXED: tuple[Row, ...] = (
    ("alias", "", "InputBlock=TabularInputBlock InputBlockV2=TabularInputBlock", "mm.*", ""),
    ("alias", "", "TwoTowerModel TwoTowerModelV2=TwoTowerModel", "mm.*", ""),
    ("alias", "", "MatrixFactorizationModel MatrixFactorizationModelV2=MatrixFactorizationModel", "mm.*", ""),
    ("alias", "", "YoutubeDNNRetrievalModel YoutubeDNNRetrievalModelV2=YoutubeDNNRetrievalModel", "mm.*", ""),
    ("alias", "", "RetrievalModel=Model RetrievalModelV2=Model", "mm.*", "mm.TwoTowerModel builds one"),
    ("alias", "", "DeepFMModel WideAndDeepModel ContrastiveOutput", "mm.*", ""),
    ("alias", "", "InBatchSampler=InBatchNegatives InBatchSamplerV2=InBatchNegatives", "mm.*", ""),
    (
        "alias",
        "",
        "PopularityBasedSampler=PopularityNegatives PopularityBasedSamplerV2=PopularityNegatives",
        "mm.*",
        "",
    ),
    ("alias", "", "PredictionTasks=TabularOutputBlock OutputBlock=TabularOutputBlock", "mm.*", ""),
    ("alias", "", "ItemRetrievalTask=ContrastiveOutput", "mm.*", ""),
    ("alias", "", "MultiClassClassificationTask=ClassificationOutput", "mm.*", ""),
    ("alias", "", "Embeddings=EmbeddingTables PretrainedEmbeddings ContinuousProjection", "mm.*", ""),
    ("alias", "", "FMBlock DotProductInteraction=DotProduct FMPairwiseInteraction=FMInteraction", "mm.*", ""),
    ("alias", "", "ExpertsGate=ExpertGate HashedCross ToOneHot=OneHot L2Norm", "mm.*", ""),
)


def _v2() -> tuple[Entry, ...]:
    return (
        *rows(_PACKAGE, f"{_PAGE}#blocks", _BLOCKS),
        *rows(_PACKAGE, f"{_PAGE}#inputs", _INPUTS),
        *rows(_PACKAGE, f"{_PAGE}#outputs", _OUTPUTS),
        *rows(_PACKAGE, f"{_PAGE}#models-and-data", _MODELS),
        *rows(_PACKAGE, f"{_PAGE}#suffixed-names", _SUFFIXED),
        *rows("merlin.models.utils", f"{_PAGE}#models-and-data", _UTILS),
    )


_V1_MODULES = (
    *("block.base", "block.mlp", "features.base", "features.continuous", "features.embedding"),
    *("features.tabular", "losses", "model.base", "model.prediction_task", "tabular.aggregation"),
    *("tabular.base", "tabular.transformations", "typing", "utils.data_utils", "utils.examples_utils"),
    "utils.torch_utils",
)
_LATER = frozenset(
    {
        "NextItemPredictionTask",
        "NextItemPredictionPrepareBlock",
        "LogUniformSampler",
        "PretrainedEmbeddingFeatures",
        "PretrainedEmbeddingsInitializer",
        "TabularDropout",
        "MerlinDataLoader",
        "DLDataLoader",
        "to_core_schema",
        "wipe_memory",
        "nested_detach",
        "nested_concat",
        "nested_numpify",
        "nested_truncate",
        "torch_pad_and_concatenate",
        "atleast_1d",
        "numpy_pad_and_concatenate",
        "one_hot_1d",
        "MappingTransformerMasking",
        "dataloader_registry",
        "BlockOrModule",
        "BlockType",
        "TabularAggregationType",
        "TabularTransformationType",
        "TabularTransformationsType",
    }
)
"""What Transformers4Rec has in the modules of V1, and V1 did not have or no program wrote."""


_VECTORS = "Write a torch.nn.Module that takes vectors by name and makes one tensor of them"
_V1_SAID: dict[str, tuple[Kind, str, str]] = {
    "TabularFeatures": (
        "adapter",
        "mm.TabularInputBlock",
        'from_schema(schema, aggregation=...) is mm.TabularInputBlock(schema, ..., combiner="mean")',
    ),
    "MergeTabular": ("manual", "mm.TabularInputBlock", "It takes columns of all kinds from one schema"),
    "ElementwiseSum": ("manual", "", 'Give aggregation="sum" to mm.TabularInputBlock'),
    "TabularLayerNorm": ("manual", "", "Give layer_norm=True to mm.TabularInputBlock"),
    "StochasticSwapNoise": (
        "manual",
        "",
        "Give swap_noise= to mm.TabularInputBlock: of ids and numbers, and in training only",
    ),
    "TabularBlock": ("manual", "mm.TabularInputBlock", f"{_VECTORS}, given to it as aggregation="),
    "TabularModule": ("manual", "mm.TabularInputBlock", f"{_VECTORS}, given to it as aggregation="),
    "TabularAggregation": ("manual", "mm.TabularInputBlock", f"{_VECTORS}, given to it as aggregation="),
    "TabularTransformation": (
        "manual",
        "mm.BatchBlock",
        "Of columns: a torch.nn.Module of a batch in mm.BatchBlock, before the inputs; of vectors: one that "
        "takes them by name and gives one tensor, as aggregation= of mm.TabularInputBlock",
    ),
    "PredictionTask": (
        "manual",
        "mm.BinaryOutput",
        "Or mm.RegressionOutput; a task of one's own is a subclass of one of these with its own losses()",
    ),
}
"""What is true of V1's classes, which were used for rows and not for sequences."""


def _v1(taken: frozenset[str]) -> tuple[Entry, ...]:
    """V1's classes became those of Transformers4Rec, so what is said of these holds for most of them."""
    found = []
    for entry in TRANSFORMERS4REC:
        places = [name for name in (entry.name, *entry.also) if _v1_place(name)]
        own = [name.replace("transformers4rec.torch", _PACKAGE, 1) for name in places]
        own = [name for name in own if name not in taken]
        if own:
            said = (entry.kind, entry.replacement, entry.note)
            kind, replacement, note = _V1_SAID.get(own[0].rpartition(".")[2], said)
            found.append(Entry(own[0], kind, replacement, f"{_PAGE}#v1", note, also=tuple(own[1:])))
    return tuple(found)


def _v1_place(name: str) -> bool:
    module, _, last = name.rpartition(".")
    return last not in _LATER and (
        module in {f"transformers4rec.torch.{home}" for home in _V1_MODULES}
        or (module == "transformers4rec.torch" and last in _V1_EXPORTS)
    )


_V1_EXPORTS = frozenset(
    {
        "AsTabular",
        "BinaryClassificationTask",
        "BlockBase",
        "ConcatFeatures",
        "ContinuousFeatures",
        "ElementwiseSum",
        "ElementwiseSumItemMulti",
        "EmbeddingFeatures",
        "FeatureConfig",
        "FilterFeatures",
        "Head",
        "MergeTabular",
        "PredictionTask",
        "RegressionTask",
        "SequentialBlock",
        "SequentialTabularTransformations",
        "SoftEmbedding",
        "SoftEmbeddingFeatures",
        "StackFeatures",
        "StochasticSwapNoise",
        "TableConfig",
        "TabularAggregation",
        "TabularBlock",
        "TabularFeatures",
        "TabularLayerNorm",
        "TabularModule",
        "TabularTransformation",
        "build_blocks",
        "right_shift_block",
    }
)
_V1_REST = (
    Entry(
        f"{_PACKAGE}.Schema",
        "alias",
        "mm.Schema",
        f"{_PAGE}#v1",
        "That of merlin_standard_lib, which has from_json and from_proto_text",
    ),
    Entry(f"{_PACKAGE}.Tag", "alias", "mm.Tags", f"{_PAGE}#v1"),
    Entry(
        f"{_PACKAGE}.data",
        "unsupported",
        "mm.ParquetLoader",
        f"{_PAGE}#v1",
        "A loader reads files and tables",
    ),
    Entry(
        f"{_PACKAGE}.utils.data_utils.DLDataLoaderWrapper",
        "unsupported",
        "mm.ParquetLoader",
        f"{_PAGE}#v1",
        "It wrapped the loader of NVTabular, which is no longer made",
    ),
)


def merlin_models_torch() -> tuple[Entry, ...]:
    """All entries, in the order of the guide."""
    v2 = _v2()
    taken = frozenset(name for entry in v2 for name in (entry.name, *entry.also))
    return (*v2, *_v1(taken), *_V1_REST)
