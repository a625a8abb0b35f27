"""Class names of ``merlin.models.tf`` (23.12) and their PyTorch successors."""

from __future__ import annotations

from merlin_migrate.table.entry import Entry
from merlin_migrate.table.rows import Row, rows

_PACKAGE = "merlin.models.tf"
_PAGE = "from-merlin-models-tensorflow.md"
_LOADER = "It reads parquet, and gives lists as they are"
_CONTEXT = "Modules keep nothing of the last batch; what flows is in the batch"
_TOPK = "model.predict(data, k=...) answers with the best items and their ids"

_MODELS: tuple[Row, ...] = (
    (
        "unsupported",
        "",
        "Model BaseModel=Model RetrievalModel=Model RetrievalModelV2=Model",
        "mm.*",
        "It is trained by lightning.Trainer, there is no compile",
    ),
    (
        "unsupported",
        "",
        "TwoTowerModel TwoTowerModelV2=TwoTowerModel MatrixFactorizationModel "
        "MatrixFactorizationModelV2=MatrixFactorizationModel YoutubeDNNRetrievalModel "
        "YoutubeDNNRetrievalModelV2=YoutubeDNNRetrievalModel",
        "mm.*",
        "",
    ),
    ("unsupported", "", "DLRMModel DCNModel DeepFMModel WideAndDeepModel", "mm.*", ""),
    (
        "unsupported",
        "",
        "Encoder EmbeddingEncoder",
        "mm.Model.extract",
        "A tower or table is taken out of the model",
    ),
    ("unsupported", "", "TopKIndexBlock IndexBlock TopKOutput", "mm.Model.predict", _TOPK),
    (
        "unsupported",
        "",
        "TopKEncoder",
        "merlin_models_torch.retrieval.TopKEncoder",
        "From raw features to ids as one module; model.predict(data, k=...) for tables",
    ),
)
_INPUTS: tuple[Row, ...] = (
    (
        "unsupported",
        "",
        "InputBlock=TabularInputBlock InputBlockV2=TabularInputBlock TabularBlock=TabularInputBlock",
        "mm.*",
        "",
    ),
    (
        "unsupported",
        "",
        "EmbeddingFeatures=EmbeddingTables SequenceEmbeddingFeatures=EmbeddingTables "
        "Embeddings=EmbeddingTables EmbeddingTable",
        "mm.*",
        "Regularised by weight_decay= of OptimizerConfig(tables=...)",
    ),
    ("unsupported", "", "PretrainedEmbeddings", "mm.*", ""),
    (
        "unsupported",
        "",
        "EmbeddingOptions FeatureConfig TableConfig",
        "mm.EmbeddingTables",
        "Widths and combiners are its arguments, or a dict by domain",
    ),
    (
        "unsupported",
        "",
        "ContinuousFeatures Continuous",
        "mm.TabularInputBlock",
        "It joins numbers as they are",
    ),
    ("unsupported", "", "ContinuousProjection", "mm.*", ""),
    ("unsupported", "", "ContinuousEmbedding=SoftEmbedding", "mm.*", ""),
    (
        "unsupported",
        "",
        "AverageEmbeddingsByWeightFeature=WeightedMean",
        "mm.*",
        "Given as combiner={column: ...}; lists of padding or of weights 0 give zeros, not nan",
    ),
    ("unsupported", "", "EmbeddingWithMetadata", "mm.EmbeddingTable", ""),
    (
        "unsupported",
        "",
        "ConcatFeatures=Concat StackFeatures=Stack ElementwiseSum ElementwiseSumItemMulti",
        "mm.*",
        "",
    ),
    (
        "unsupported",
        "",
        "SequenceAggregator=MeanPooling BroadcastToSequence L2Norm StochasticSwapNoise",
        "mm.*",
        "",
    ),
    ("unsupported", "", "HashedCross ToOneHot=OneHot", "mm.*", ""),
    ("unsupported", "", "CategoryEncoding=MultiHot", "mm.*", "count=True counts"),
    ("unsupported", "", "HashedCrossAll", "mm.HashedCross", "One for each pair, given as crosses="),
    ("unsupported", "", "AsTabular", "mm.ParallelBlock", "A dict of one branch"),
    ("unsupported", "", "Filter=SelectKeys", "mm.*", ""),
    (
        "unsupported",
        "",
        "PrepareFeatures PrepareListFeatures ToSparse ToDense ToTarget ExpandDims",
        "mm.ParquetLoader",
        "It gives columns in the shape that blocks take",
    ),
)
_BLOCKS: tuple[Row, ...] = (
    (
        "unsupported",
        "",
        "Block SequentialBlock=Block ParallelBlock ResidualBlock MLPBlock CrossBlock DLRMBlock",
        "mm.*",
        "",
    ),
    (
        "unsupported",
        "",
        "DenseResidualBlock=ResidualBlock FMBlock MMOEBlock CGCBlock PLEBlock ExpertsGate=ExpertGate",
        "mm.*",
        "",
    ),
    (
        "unsupported",
        "",
        "DotProductInteraction=DotInteraction FMPairwiseInteraction=FMInteraction",
        "mm.*",
        "",
    ),
    (
        "unsupported",
        "",
        "TwoTowerBlock=TwoTowerModel DualEncoderBlock=TwoTowerModel",
        "mm.*",
        "The builder makes both towers",
    ),
    (
        "unsupported",
        "",
        "MatrixFactorizationBlock=MatrixFactorizationModel "
        "QueryItemIdsEmbeddingsBlock=MatrixFactorizationModel",
        "mm.*",
        "",
    ),
    ("unsupported", "", "Cond MapValues NoOp", "mm.Block", "Write an nn.Module"),
    ("unsupported", "", "ModelContext", "mm.Batch", _CONTEXT),
    ("unsupported", "", "TransformerBlock XLNetBlock", "mm.*", ""),
    (
        "unsupported",
        "",
        "AlbertBlock BertBlock GPT2Block RobertaBlock",
        "mm.HuggingFaceBlock",
        "Any configuration of transformers",
    ),
    ("unsupported", "", "AttentionWeights", "mm.attention_weights", ""),
    (
        "unsupported",
        "",
        "HiddenStates LastHiddenState LastHiddenStateAndAttention",
        "mm.HuggingFaceBlock",
        "It gives the last hidden state",
    ),
    (
        "unsupported",
        "",
        "SequencePredictNext SequencePredictLast",
        "mm.CausalMasking",
        'Given to the input block; targets="last" for the last item alone',
    ),
    (
        "unsupported",
        "",
        "SequencePredictRandom",
        "mm.CausalMasking",
        "Every position predicts the next item, not one at random",
    ),
    ("unsupported", "", "SequenceMaskRandom", "mm.RandomMasking", "Given to the input block"),
    (
        "unsupported",
        "",
        "SequenceTargetAsInput SequenceMaskLast SequenceMaskLastInference",
        "mm.RandomMasking",
        "In evaluation it hides the last item, in prediction one after it, by itself",
    ),
    ("unsupported", "", "ReplaceMaskedEmbeddings", "mm.MaskVector", "The input block has one"),
)
_OUTPUTS: tuple[Row, ...] = (
    (
        "unsupported",
        "",
        "PredictionTask ModelOutput",
        "merlin_models_torch.outputs.Output",
        "What a model asks of its output",
    ),
    (
        "unsupported",
        "",
        "PredictionTasks=TabularOutputBlock ParallelPredictionBlock=TabularOutputBlock "
        "OutputBlock=TabularOutputBlock",
        "mm.*",
        "",
    ),
    ("unsupported", "", "BinaryClassificationTask=BinaryOutput BinaryOutput", "mm.*", ""),
    ("unsupported", "", "MultiClassClassificationTask=ClassificationOutput", "mm.*", ""),
    ("unsupported", "", "RegressionTask=RegressionOutput RegressionOutput", "mm.*", ""),
    ("unsupported", "", "CategoricalOutput", "mm.*", "For items; mm.ClassificationOutput is for labels"),
    ("unsupported", "", "ItemRetrievalTask=ContrastiveOutput ContrastiveOutput", "mm.*", ""),
    ("unsupported", "", "ItemRetrievalScorer=TwoTowerOutput", "mm.*", ""),
    (
        "unsupported",
        "",
        "ColumnBasedSampleWeight",
        "mm.BinaryOutput",
        "Outputs take weight=, the name of a column; positive_weight= weighs labels of 1",
    ),
    (
        "unsupported",
        "",
        "ItemSampler CandidateSampler Candidate InBatchSampler InBatchSamplerV2",
        "mm.InBatchNegatives",
        "Given as negatives=",
    ),
    (
        "unsupported",
        "",
        "PopularityBasedSampler PopularityBasedSamplerV2",
        "mm.PopularityNegatives",
        "Given as negatives=",
    ),
    ("unsupported", "", "FIFOQueue", "mm.CachedNegatives", "Given as negatives="),
    ("unsupported", "", "Prediction", "", "Outputs have predictions and targets as tensors"),
    (
        "unsupported",
        "",
        "NDCGAt PrecisionAt MRRAt AvgPrecisionAt RecallAt TopKMetricsAggregator",
        "mm.RankingMetrics",
        'Outputs take names: metrics=("ndcg", "recall"), top_ks=(10, 20)',
    ),
    ("unsupported", "", "LogLossMetric", "mm.BinaryOutput", 'With metrics=("log_loss",)'),
    (
        "unsupported",
        "",
        "losses LossType",
        "merlin_models_torch.outputs",
        'Outputs take the name of a loss; "logistic" is "bpr"',
    ),
)
_TRAINING: tuple[Row, ...] = (
    (
        "unsupported",
        "",
        "MultiOptimizer OptimizerBlocks LazyAdam split_embeddings_on_size",
        "mm.OptimizerConfig",
        "tables= is the optimiser of embedding tables, sparse ones included",
    ),
    ("unsupported", "", "Loader KerasSequenceValidator sample_batch", "mm.ParquetLoader", _LOADER),
    ("unsupported", "", "benchmark", "", "A training loop of Keras, timed"),
    ("unsupported", "", "TensorInitializer", "mm.EmbeddingTable", "Give weights="),
    (
        "unsupported",
        "",
        "configure_tensorflow is_transformers_available repr_utils right_shift_layer",
        "",
        "A part of the old package that programs had no need of",
    ),
)


def merlin_models_tf() -> tuple[Entry, ...]:
    """All entries, in the order of the guide."""
    package = Entry(
        _PACKAGE,
        "unsupported",
        "merlin_models_torch",
        f"{_PAGE}#the-package",
        "TensorFlow is not supported: its classes have PyTorch successors",
    )
    return (
        package,
        *rows(_PACKAGE, f"{_PAGE}#models", _MODELS),
        *rows(_PACKAGE, f"{_PAGE}#inputs", _INPUTS),
        *rows(_PACKAGE, f"{_PAGE}#blocks", _BLOCKS),
        *rows(_PACKAGE, f"{_PAGE}#outputs-and-metrics", _OUTPUTS),
        *rows(_PACKAGE, f"{_PAGE}#training-and-data", _TRAINING),
    )
