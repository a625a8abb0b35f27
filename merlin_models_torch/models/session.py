"""The session model: a sequence of items in, the next item out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import nn

from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.blocks.transformer import TransformerBlock
from merlin_models_torch.blocks.xlnet import XLNetBlock
from merlin_models_torch.data import SessionFiles, Vocabulary
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.masking import CausalMasking, Masking, PermutedMasking, RandomMasking
from merlin_models_torch.models.parts import schema_of, vocabularies_of
from merlin_models_torch.outputs import CategoricalOutput
from merlin_models_torch.schema import Schema, Tags
from merlin_models_torch.training.model import Model
from merlin_models_torch.training.optim import OptimizerChoice, OptimizerConfig


def SessionModel(
    data: Schema | SessionFiles,
    *,
    dim: int = 64,
    body: Literal["transformer", "xlnet"] | nn.Module = "transformer",
    layers: int = 2,
    heads: int = 2,
    dropout: float = 0.2,
    masking: Literal["causal", "random", "permuted"] | Masking = "causal",
    max_sequence_length: int = 50,
    normalized: bool = False,
    temperature: float = 1.0,
    metrics: Sequence[str] = ("recall", "ndcg"),
    top_ks: Sequence[int] | None = None,
    exclude_seen: bool = False,
    optimizer: OptimizerConfig | OptimizerChoice | None = None,
    vocabularies: Mapping[str, Vocabulary] | None = None,
    seed: int = 0,
) -> Model:
    """A model that predicts the next item of a session from its items and their other columns.

    With the defaults and a schema of items only it is SASRec (Kang and McAuley 2018) with a softmax over
    the whole catalogue; with ``masking="random"`` it is BERT4Rec (Sun et al. 2019). Masking
    "permuted" needs the body "xlnet".

    Args:
        data: what ``sessions_from_events`` returned, or a schema. The former brings its vocabularies.
        dim: width of item vectors and body. Further columns are joined to the item's and projected to it.
        body: one by name, or a module from (B, T, dim) to (B, T, D).
        layers: of a body by name.
        heads: of a body by name.
        dropout: of a body by name.
        masking: one by name, or with options of its own.
        max_sequence_length: latest items of a session that are visible.
        normalized: of :class:`CategoricalOutput`: scores are cosines; choose a temperature of 0.05 to 0.1.
        temperature: of :class:`CategoricalOutput`.
        metrics: of :class:`CategoricalOutput`.
        top_ks: of :class:`CategoricalOutput`.
        exclude_seen: of :class:`CategoricalOutput`.
        optimizer: of :class:`Model`.
        vocabularies: of :class:`Model`.
        seed: of :class:`Model`.

    Returns:
        A model whose output shares the item embeddings.

    Raises:
        ValueError: if a name is not known, or the schema has no list of item ids.

    Example:
        >>> model = SessionModel(files, dim=8, body="xlnet", layers=1, masking="random")
        >>> session = {"item_id": [[3, 5]], "category": [[1, 2]], "price": [[0.5, 0.7]]}
        >>> len(model.predict(session, k=3)["item_id"][0])
        3
    """
    schema = schema_of(data)
    if isinstance(masking, str):
        masking = _masking(masking)
    columns = schema.excluding_by_tag(Tags.TARGET).select([Tags.CATEGORICAL, Tags.CONTINUOUS])
    inputs = TabularInputBlock(
        schema,
        embedding_dim=dim,
        continuous_projection=dim,
        projection=MLPBlock([dim], activation="none") if len(columns) > 1 else None,
        masking=masking,
        max_sequence_length=max_sequence_length,
    )
    if isinstance(body, str):
        body = _body(
            body,
            dim,
            heads=heads,
            layers=layers,
            dropout=dropout,
            length=max_sequence_length + 1,
            two_streams=isinstance(masking, PermutedMasking),
        )
    output = CategoricalOutput(
        weight_tying=True,
        normalized=normalized,
        temperature=temperature,
        metrics=metrics,
        top_ks=top_ks,
        exclude_seen=exclude_seen,
    )
    return Model(
        inputs, body, output, optimizer=optimizer, vocabularies=vocabularies_of(data, vocabularies), seed=seed
    )


def _masking(name: str) -> Masking:
    if name == "causal":
        return CausalMasking()
    if name == "random":
        return RandomMasking(probability=0.2)
    if name == "permuted":
        return PermutedMasking()
    raise ValueError(
        f"masking is {name!r}, expected 'causal', 'random', 'permuted' or a masking with options of its own"
    )


def _body(
    name: str, dim: int, *, heads: int, layers: int, dropout: float, length: int, two_streams: bool
) -> nn.Module:
    if name == "transformer":
        return TransformerBlock(dim, heads=heads, layers=layers, dropout=dropout, max_length=length)
    if name == "xlnet":
        return XLNetBlock(dim, heads=heads, layers=layers, dropout=dropout, two_streams=two_streams)
    raise ValueError(f"body is {name!r}, expected 'transformer', 'xlnet' or a module")
