"""DLRM: dot products of embeddings and of the vector of all numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from merlin_models_torch.blocks.dlrm import DLRMBlock
from merlin_models_torch.blocks.mlp import as_widths
from merlin_models_torch.data import SessionFiles, Vocabulary
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.models.parts import Combiners, RankingOutput, columns_of, combiners_of, tower
from merlin_models_torch.schema import Schema
from merlin_models_torch.training.model import Model
from merlin_models_torch.training.optim import OptimizerChoice, OptimizerConfig


def DLRMModel(
    data: Schema | SessionFiles,
    *,
    embedding_dim: int = 64,
    bottom: Sequence[int] = (128,),
    top: Sequence[int] = (128, 64),
    dropout: float = 0.0,
    combiner: Combiners = "mean",
    output: RankingOutput | None = None,
    optimizer: OptimizerConfig | OptimizerChoice | None = None,
    vocabularies: Mapping[str, Vocabulary] | None = None,
    seed: int = 0,
) -> Model:
    """DLRM (Naumov et al. 2019): all pairs of embeddings and of the numbers' vector, by dot product.

    Args:
        data: schema with the features, and the targets tagged by their kind; or what
            ``sessions_from_events`` returned.
        embedding_dim: width of all embeddings and of the bottom tower's end.
        bottom: units of the tower of the numbers before a last layer of the embeddings' width; it is left
            out where there are no numbers.
        top: units of the tower after the dot products, which stand beside the numbers' vector.
        dropout: of the top tower.
        combiner: how lists become one vector: all of them, or by name, the others by their mean.
        output: by default those of the schema's targets, as for :func:`DCNModel`.
        optimizer: of :class:`Model`.
        vocabularies: of :class:`Model`.
        seed: of :class:`Model`.

    Returns:
        A model that gives scores.

    Raises:
        ValueError: if there is no target, or fewer than two vectors to multiply.

    Example:
        >>> model = DLRMModel(click_schema, embedding_dim=8, bottom=[16], top=[16])
        >>> model.predict(clicks).num_rows
        40
    """
    columns = columns_of(data, output, vocabularies)
    inputs = TabularInputBlock(
        columns.features,
        embedding_dim=embedding_dim,
        continuous_projection=[*as_widths(bottom), embedding_dim],
        # The projection of the input block is the bottom tower.
        aggregation=DLRMBlock(continuous="continuous_projection"),
        combiner=combiners_of(columns.features, combiner),
    )
    vectors = len(inputs.categorical) + bool(inputs.continuous)
    if vectors < 2:
        raise ValueError(
            f"DLRM multiplies pairs of columns, and the features {columns.features.column_names} make "
            f"{vectors} vector: add a categorical column, or use DCNModel"
        )
    return Model(
        inputs,
        *tower(top, dropout=dropout),
        columns.output,
        optimizer=optimizer,
        vocabularies=columns.vocabularies,
        seed=seed,
    )
