"""YouTube's deep network for candidates: the mean of what was watched, an MLP, a softmax over items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from merlin_models_torch.blocks.pooling import MeanPooling
from merlin_models_torch.data import SessionFiles, Vocabulary
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.inputs.tables import EmbeddingDim
from merlin_models_torch.masking import CausalMasking
from merlin_models_torch.models.parts import encoder, schema_of, vocabularies_of
from merlin_models_torch.outputs import CategoricalOutput, ContrastiveOutput, PopularityNegatives
from merlin_models_torch.schema import Schema
from merlin_models_torch.training.model import Model
from merlin_models_torch.training.optim import OptimizerChoice, OptimizerConfig


def YoutubeDNNRetrievalModel(
    data: Schema | SessionFiles,
    *,
    embedding_dim: EmbeddingDim = 64,
    aggregation: Literal["concat", "sum", "mean"] = "concat",
    top_block: Sequence[int] = (64,),
    dropout: float = 0.0,
    num_sampled: int | None = 100,
    weight_tying: bool = True,
    logits_temperature: float = 1.0,
    max_sequence_length: int = 50,
    metrics: Sequence[str] = ("recall", "ndcg"),
    top_ks: Sequence[int] | None = None,
    exclude_seen: bool = False,
    optimizer: OptimizerConfig | OptimizerChoice | None = None,
    vocabularies: Mapping[str, Vocabulary] | None = None,
    seed: int = 0,
) -> Model:
    """The candidate generator of YouTube (Covington et al. 2016, section 3).

    The items of a session, with the columns beside them, are embedded and averaged; an MLP makes the user's
    vector of the mean, and its dot products with the items' vectors are the logits of what is watched next.
    Every item of a session is an example, which sees those before it and no later one (figure 5b). Columns
    of the row as a whole are context.

    Args:
        data: what ``sessions_from_events`` returned, or a schema with a list of item ids. The former brings
            its vocabularies.
        embedding_dim: of :class:`TabularInputBlock`.
        aggregation: how the columns of a position are joined.
        top_block: units of the MLP; its last layer, the user's vector, has no activation.
        dropout: after each hidden layer's activation.
        num_sampled: negatives of a training step, drawn by their rank in popularity and corrected for it
            (vocabularies made here are in that order, so are Merlin's); None for the softmax over all items.
        weight_tying: the items' vectors are the embeddings of the input, behind a linear layer where
            widths differ. The paper has vectors of their own.
        logits_temperature: logits are divided by it.
        max_sequence_length: latest items of a session that are averaged.
        metrics: of :class:`CategoricalOutput`.
        top_ks: of :class:`CategoricalOutput`.
        exclude_seen: of :class:`CategoricalOutput`.
        optimizer: of :class:`Model`.
        vocabularies: of :class:`Model`.
        seed: of :class:`Model`.

    Returns:
        A model that answers with the items of largest dot product.

    Raises:
        ValueError: if the schema has no list of item ids, or there are no units or negatives.

    Example:
        >>> model = YoutubeDNNRetrievalModel(files, embedding_dim=8, top_block=[8], num_sampled=16)
        >>> answers = model.predict(files.test[0], k=3, exclude_seen=True)
        >>> answers.num_rows == files.counts["test"]
        True
    """
    if not top_block:
        raise ValueError("top_block has no units: give at least the width of the user's vector")
    inputs = TabularInputBlock(
        schema_of(data),
        embedding_dim=embedding_dim,
        aggregation=aggregation,
        masking=CausalMasking(),
        max_sequence_length=max_sequence_length,
    )
    if num_sampled is None:
        output = CategoricalOutput(
            weight_tying=weight_tying,
            temperature=logits_temperature,
            metrics=metrics,
            top_ks=top_ks,
            exclude_seen=exclude_seen,
        )
    else:
        output = ContrastiveOutput(
            negatives=PopularityNegatives(num_sampled),
            weight_tying=weight_tying,
            temperature=logits_temperature,
            metrics=metrics,
            top_ks=top_ks,
            exclude_seen=exclude_seen,
        )
    return Model(
        inputs,
        MeanPooling(),
        *encoder(top_block, dropout=dropout),
        output,
        optimizer=optimizer,
        vocabularies=vocabularies_of(data, vocabularies),
        seed=seed,
    )
