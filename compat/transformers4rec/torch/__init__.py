"""The names of ``transformers4rec.torch``, each loaded when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "merlin_standard_lib": "Schema",
    "transformers4rec.config.schema": "requires_schema",
    "transformers4rec.config.trainer": "T4RecTrainingArguments",
    "transformers4rec.config.transformer": "AlbertConfig ElectraConfig GPT2Config LongformerConfig"
    " ReformerConfig T4RecConfig TransfoXLConfig XLNetConfig",
    "transformers4rec.torch.block.base": "Block BlockBase SequentialBlock build_blocks right_shift_block",
    "transformers4rec.torch.block.mlp": "MLPBlock",
    "transformers4rec.torch.block.transformer": "TransformerBlock",
    "transformers4rec.torch.features.continuous": "ContinuousFeatures",
    "transformers4rec.torch.features.embedding": "EmbeddingFeatures FeatureConfig PretrainedEmbeddingFeatures"
    " PretrainedEmbeddingsInitializer SoftEmbedding SoftEmbeddingFeatures TableConfig",
    "transformers4rec.torch.features.sequence": "SequenceEmbeddingFeatures TabularSequenceFeatures",
    "transformers4rec.torch.features.tabular": "TabularFeatures",
    "transformers4rec.torch.losses": "LabelSmoothCrossEntropyLoss",
    "transformers4rec.torch.model.base": "Head Model PredictionTask",
    "transformers4rec.torch.model.prediction_task": "BinaryClassificationTask NextItemPredictionTask"
    " RegressionTask",
    "transformers4rec.torch.tabular.aggregation": "ConcatFeatures ElementwiseSum ElementwiseSumItemMulti"
    " StackFeatures",
    "transformers4rec.torch.tabular.base": "AsTabular FilterFeatures MergeTabular "
    "SequentialTabularTransformations TabularAggregation TabularBlock TabularModule TabularTransformation",
    "transformers4rec.torch.tabular.transformations": "StochasticSwapNoise TabularDropout TabularLayerNorm",
    "transformers4rec.torch.trainer": "Trainer",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
_SUBMODULES = (
    "block",
    "features",
    "losses",
    "masking",
    "model",
    "ranking_metric",
    "tabular",
    "trainer",
    "typing",
    "utils",
)

__all__ = [*_HOME_OF, "data", "ranking_metric"]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(import_module(_HOME_OF[name]), name)
    elif name == "data":
        value = import_module("transformers4rec.data")
    elif name in _SUBMODULES:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
