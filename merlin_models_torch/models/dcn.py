"""DCN-v2: products of features of bounded degree, and a deep tower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import nn

from merlin_models_torch.blocks.base import Block, ParallelBlock
from merlin_models_torch.blocks.cross import CrossBlock
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.data import SessionFiles, Vocabulary
from merlin_models_torch.inputs import Concat, TabularInputBlock
from merlin_models_torch.inputs.tables import EmbeddingDim
from merlin_models_torch.models.parts import Combiners, RankingOutput, columns_of, combiners_of, tower
from merlin_models_torch.schema import Schema
from merlin_models_torch.training.model import Model
from merlin_models_torch.training.optim import OptimizerChoice, OptimizerConfig


def DCNModel(
    data: Schema | SessionFiles,
    *,
    embedding_dim: EmbeddingDim = 64,
    depth: int = 2,
    low_rank: int | None = None,
    deep: Sequence[int] = (128, 64),
    structure: Literal["stacked", "parallel"] = "stacked",
    dropout: float = 0.0,
    combiner: Combiners = "mean",
    output: RankingOutput | None = None,
    optimizer: OptimizerConfig | OptimizerChoice | None = None,
    vocabularies: Mapping[str, Vocabulary] | None = None,
    seed: int = 0,
) -> Model:
    """DCN-v2 (Wang et al. 2021, section 3): cross layers over all features, and a deep tower.

    Args:
        data: schema with the features, and the targets tagged by their kind; or what
            ``sessions_from_events`` returned.
        embedding_dim: of :class:`TabularInputBlock`. Numbers are joined to the embeddings as they are.
        depth: cross layers.
        low_rank: of :class:`CrossBlock`.
        deep: units of the deep tower; none without.
        structure: "stacked" puts the deep tower after the cross layers, "parallel" beside them, the outputs
            of both joined (figure 1 of the paper).
        dropout: of the deep tower.
        combiner: how lists become one vector: all of them, or by name, the others by their mean.
        output: by default :class:`BinaryOutput`, :class:`ClassificationOutput` or
            :class:`RegressionOutput` of the schema's target, or :class:`TabularOutputBlock` of several.
        optimizer: of :class:`Model`.
        vocabularies: of :class:`Model`.
        seed: of :class:`Model`.

    Returns:
        A model that gives scores.

    Raises:
        ValueError: if there is no target, or the structure is unknown or parallel without a deep tower.

    Example:
        >>> model = DCNModel(click_schema, embedding_dim=8, depth=3, structure="parallel")
        >>> model.predict(clicks)["click_score"].type
        DataType(float)
    """
    columns = columns_of(data, output, vocabularies)
    inputs = TabularInputBlock(
        columns.features, embedding_dim=embedding_dim, combiner=combiners_of(columns.features, combiner)
    )
    return Model(
        inputs,
        *_interaction(structure, CrossBlock(depth, low_rank=low_rank), tower(deep, dropout=dropout)),
        columns.output,
        optimizer=optimizer,
        vocabularies=columns.vocabularies,
        seed=seed,
    )


def _interaction(structure: str, cross: CrossBlock, deep: list[MLPBlock]) -> list[nn.Module]:
    if structure == "stacked":
        return [cross, *deep]
    if structure != "parallel":
        raise ValueError(f"structure is {structure!r}, expected 'stacked' or 'parallel'")
    if not deep:
        raise ValueError("a parallel structure has a deep tower: give its units in deep, or stack")
    return [ParallelBlock({"cross": cross, "deep": Block(*deep)}), Concat()]
