"""DeepFM: a factorisation machine and a deep tower on the same embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from merlin_models_torch.blocks.base import Block, ParallelBlock
from merlin_models_torch.blocks.fm import FMBlock
from merlin_models_torch.data import SessionFiles, Vocabulary
from merlin_models_torch.inputs import ElementwiseSum, TabularInputBlock
from merlin_models_torch.models.parts import (
    Combiners,
    RankingOutput,
    columns_of,
    combiners_of,
    logit,
    logit_output,
    number_vectors,
    tower,
    weights_in,
)
from merlin_models_torch.schema import Schema
from merlin_models_torch.training.model import Model
from merlin_models_torch.training.optim import OptimizerChoice, OptimizerConfig


def DeepFMModel(
    data: Schema | SessionFiles,
    *,
    embedding_dim: int = 64,
    deep: Sequence[int] = (128, 64),
    dropout: float = 0.0,
    combiner: Combiners = "mean",
    output: RankingOutput | None = None,
    optimizer: OptimizerConfig | OptimizerChoice | None = None,
    vocabularies: Mapping[str, Vocabulary] | None = None,
    seed: int = 0,
) -> Model:
    """DeepFM (Guo et al. 2017, equations 1 to 4).

    The number before the link is ``<w, x> + sum_{i<j} <v_i, v_j> x_i x_j + MLP(v_1 x_1, ..., v_F x_F)``:
    weights and vectors of ids are rows of tables, a number is multiplied with its own. The bias is that of
    the MLP.

    Args:
        data: schema with the features, and one target tagged by its kind; or what ``sessions_from_events``
            returned.
        embedding_dim: width of the vectors ``v``.
        deep: units of the MLP before its last, linear unit.
        dropout: of the MLP.
        combiner: how lists become one vector: all of them, or by name, the others by their mean.
        output: by default that of the schema's target; one of your own has ``project=False``.
        optimizer: of :class:`Model`.
        vocabularies: of :class:`Model`.
        seed: of :class:`Model`.

    Returns:
        A model that gives scores.

    Raises:
        ValueError: if there is no target, or several, or one of several classes.

    Example:
        >>> model = DeepFMModel(click_schema, embedding_dim=8, deep=[16])
        >>> model.predict(clicks).column_names
        ['user_id', 'click_score']
    """
    columns = columns_of(data, output, vocabularies)
    head = logit_output(columns.output, given=output is not None, model="DeepFM")
    first = TabularInputBlock(
        columns.features,
        embedding_dim=1,
        embeddings=number_vectors(columns.features, 1, besides=weights_in(combiner)),
        aggregation="sum",
        combiner=combiners_of(columns.features, combiner),
    )
    factors = TabularInputBlock(
        columns.features,
        embedding_dim=embedding_dim,
        embeddings=number_vectors(columns.features, embedding_dim, besides=weights_in(combiner)),
        aggregation="stack",
        combiner=combiners_of(columns.features, combiner),
    )
    mlp = Block(nn.Flatten(1), *tower(deep, dropout=dropout), logit())
    return Model(
        ParallelBlock(
            {"first": first, "second": Block(factors, ParallelBlock({"pairs": FMBlock(), "deep": mlp}))}
        ),
        ElementwiseSum(),
        head,
        optimizer=optimizer,
        vocabularies=columns.vocabularies,
        seed=seed,
    )
