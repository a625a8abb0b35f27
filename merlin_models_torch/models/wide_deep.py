"""Wide & Deep: a linear model that remembers, and a deep one that generalises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from merlin_models_torch.blocks.base import Block, ParallelBlock
from merlin_models_torch.data import SessionFiles, Vocabulary
from merlin_models_torch.inputs import ElementwiseSum, HashedCross, TabularInputBlock
from merlin_models_torch.inputs.tables import EmbeddingDim
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
from merlin_models_torch.schema import Schema, Selection
from merlin_models_torch.training.model import Model
from merlin_models_torch.training.optim import OptimizerChoice, OptimizerConfig


def WideAndDeepModel(
    data: Schema | SessionFiles,
    *,
    wide: Selection = "*",
    crosses: Mapping[str, HashedCross] | None = None,
    embedding_dim: EmbeddingDim = 64,
    deep: Sequence[int] = (128, 64),
    dropout: float = 0.0,
    combiner: Combiners = "mean",
    output: RankingOutput | None = None,
    optimizer: OptimizerConfig | OptimizerChoice | None = None,
    vocabularies: Mapping[str, Vocabulary] | None = None,
    seed: int = 0,
) -> Model:
    """Wide & Deep (Cheng et al. 2016, equation 3).

    The number before the link is ``<w, [x, crosses(x)]> + MLP(embeddings and numbers)``; the weight of each
    id is a row of a table of width 1. Both parts have the same optimiser.

    Args:
        data: schema with the features, and one target tagged by its kind; or what ``sessions_from_events``
            returned.
        wide: columns of the linear part.
        crosses: combinations of columns that the linear part sees besides, by name; the columns must be
            among ``wide``. Of a list, each value is combined with the other columns.
        embedding_dim: of the deep part's :class:`TabularInputBlock`.
        deep: units of the MLP before its last, linear unit.
        dropout: of the MLP.
        combiner: how lists become one vector in the deep part, all of them, or by name, the others by their
            mean; in the wide part their weights are added.
        output: by default that of the schema's target; one of your own has ``project=False``.
        optimizer: of :class:`Model`.
        vocabularies: of :class:`Model`.
        seed: of :class:`Model`.

    Returns:
        A model that gives scores.

    Raises:
        ValueError: if there is no target, or several, or one of several classes; if a cross has columns that
            are not wide.

    Example:
        >>> crosses = {"user_item": mm.HashedCross(["user_id", "item_id"], bins=100)}
        >>> model = WideAndDeepModel(click_schema, crosses=crosses, embedding_dim=8, deep=[16])
        >>> model.predict(clicks).num_rows
        40
    """
    columns = columns_of(data, output, vocabularies)
    head = logit_output(columns.output, given=output is not None, model="Wide & Deep")
    linear = columns.features.select(wide).excluding_by_name(weights_in(combiner))
    remembering = TabularInputBlock(
        linear,
        embedding_dim=1,
        embeddings=number_vectors(linear, 1),
        crosses=crosses,
        aggregation="sum",
        combiner="sum",
    )
    embedded = TabularInputBlock(
        columns.features, embedding_dim=embedding_dim, combiner=combiners_of(columns.features, combiner)
    )
    return Model(
        ParallelBlock({"wide": remembering, "deep": Block(embedded, *tower(deep, dropout=dropout), logit())}),
        ElementwiseSum(),
        head,
        optimizer=optimizer,
        vocabularies=columns.vocabularies,
        seed=seed,
    )
