"""``merlin.models.torch``: names of V2, of V1, and of TensorFlow where they live on."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from merlin.models._legacy import served

_V2 = {
    "merlin.models.torch.batch": "Batch Sequence",
    "merlin.models.torch.block": """
        BatchBlock Block ParallelBlock ResidualBlock ShortcutBlock repeat
        repeat_parallel repeat_parallel_like
    """,
    "merlin.models.torch.blocks.attention": "CrossAttentionBlock",
    "merlin.models.torch.blocks.cross": "CrossBlock",
    "merlin.models.torch.blocks.dlrm": "DLRMBlock",
    "merlin.models.torch.blocks.experts": "CGCBlock MMOEBlock PLEBlock",
    "merlin.models.torch.functional": "map walk",
    "merlin.models.torch.blocks.mlp": "MLPBlock",
    "merlin.models.torch.inputs.embedding": "EmbeddingTable EmbeddingTables",
    "merlin.models.torch.inputs.select": "SelectFeatures SelectKeys",
    "merlin.models.torch.inputs.tabular": "TabularInputBlock stack_context",
    "merlin.models.torch.models.base": "Model MultiLoader",
    "merlin.models.torch.models.ranking": "DCNModel DLRMModel",
    "merlin.models.torch.outputs.base": "ModelOutput",
    "merlin.models.torch.outputs.classification": """
        BinaryOutput CategoricalOutput CategoricalTarget EmbeddingTablePrediction
    """,
    "merlin.models.torch.outputs.regression": "RegressionOutput",
    "merlin.models.torch.outputs.tabular": "TabularOutputBlock",
    "merlin.models.torch.predict": "DaskEncoder DaskPredictor EncoderBlock",
    "merlin.models.torch.router": "RouterBlock",
    "merlin.models.torch.schema": "feature_schema input_schema output_schema target_schema",
    "merlin.models.torch.transforms.agg": "Concat Stack",
    "merlin.models.torch.transforms.sequences": "BroadcastToSequence TabularPadding",
}
_CORE = {
    # Names of TensorFlow for their successors.
    "merlin_models_torch": """
        InputBlock=TabularInputBlock InputBlockV2=TabularInputBlock TwoTowerModel
        TwoTowerModelV2=TwoTowerModel MatrixFactorizationModel
        MatrixFactorizationModelV2=MatrixFactorizationModel YoutubeDNNRetrievalModel
        YoutubeDNNRetrievalModelV2=YoutubeDNNRetrievalModel RetrievalModel=Model
        RetrievalModelV2=Model DeepFMModel WideAndDeepModel
        InBatchSampler=InBatchNegatives InBatchSamplerV2=InBatchNegatives
        PopularityBasedSampler=PopularityNegatives
        PopularityBasedSamplerV2=PopularityNegatives PredictionTasks=TabularOutputBlock
        ItemRetrievalTask=ContrastiveOutput
        MultiClassClassificationTask=ClassificationOutput ContrastiveOutput
        OutputBlock=TabularOutputBlock Embeddings=EmbeddingTables PretrainedEmbeddings
        ContinuousProjection FMBlock DotProductInteraction=DotProduct
        FMPairwiseInteraction=FMInteraction ExpertsGate=ExpertGate HashedCross
        ToOneHot=OneHot L2Norm
    """,
}
_V1 = {
    "transformers4rec.torch.block.base": """
        BlockBase SequentialBlock build_blocks right_shift_block
    """,
    "transformers4rec.torch.features.continuous": "ContinuousFeatures",
    "transformers4rec.torch.features.embedding": """
        EmbeddingFeatures FeatureConfig SoftEmbedding SoftEmbeddingFeatures TableConfig
    """,
    "merlin.models.torch.features.tabular": "TabularFeatures",
    "merlin.models.torch.model.base": "Head PredictionTask",
    "merlin.models.torch.model.prediction_task": "BinaryClassificationTask RegressionTask",
    "transformers4rec.torch.tabular.aggregation": "ConcatFeatures ElementwiseSum ElementwiseSumItemMulti",
    "merlin.models.torch.tabular.aggregation": "StackFeatures",
    "transformers4rec.torch.tabular.base": """
        AsTabular FilterFeatures MergeTabular SequentialTabularTransformations
        TabularAggregation TabularBlock TabularModule TabularTransformation
    """,
    "merlin.models.torch.tabular.transformations": "StochasticSwapNoise",
    "transformers4rec.torch.tabular.transformations": "TabularLayerNorm",
    "merlin_standard_lib": "Schema Tag",
}
_SUBMODULES = (
    "batch",
    "block",
    "blocks",
    "container",
    "features",
    "functional",
    "inputs",
    "losses",
    "model",
    "models",
    "outputs",
    "predict",
    "registry",
    "router",
    "schema",
    "tabular",
    "transforms",
    "typing",
    "utils",
)
_named = served(__name__, {**_V2, **_CORE, **_V1})

__all__ = [
    name.partition("=")[0]
    for names in (*_V2.values(), *_CORE.values(), *_V1.values())
    for name in names.split()
]


def __getattr__(name: str) -> Any:
    return import_module(f"{__name__}.{name}") if name in _SUBMODULES else _named(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
