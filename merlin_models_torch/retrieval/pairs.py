"""The score of an item for a row, by any model that has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from merlin_models_torch.batch import Batch
from merlin_models_torch.data import Vocabulary
from merlin_models_torch.data.table import TensorTable
from merlin_models_torch.outputs import (
    BinaryOutput,
    CategoricalOutput,
    RegressionOutput,
    TabularOutputBlock,
    TwoTowerOutput,
)
from merlin_models_torch.outputs.base import ScoreOutput
from merlin_models_torch.outputs.target import TargetOutput
from merlin_models_torch.retrieval.candidates import Candidates, encode_candidates, tower
from merlin_models_torch.retrieval.features import ItemFeatures, item_column, items_of_rows
from merlin_models_torch.schema import Schema

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

ScoreChoice = str | Mapping[str, float]
"""The target whose scores count, or weights of the scores of several."""

Scores = Callable[[Tensor, Tensor], Tensor]
"""Scores (N,) of (N,) rows of a batch and (N,) item rows."""


@dataclass(frozen=True)
class PairScores:
    """How a model scores items for rows.

    Args:
        schema: the columns that it reads of the rows.
        item_id: name of the items.
        vocabulary: their original ids, if the model knows them.
        known: which of (N,) int64 item rows have a score, as (N,) bool.
        of: what scores pairs with the rows of a batch, which is on the model's device.
    """

    schema: Schema
    item_id: str
    vocabulary: Vocabulary | None
    known: Callable[[Tensor], Tensor]
    of: Callable[[Batch], Scores]


def pair_scores(model: Model, *, items: Any = None, score: ScoreChoice | None = None) -> PairScores:
    """How a model scores items for rows; arguments as for :meth:`Model.rerank`.

    Raises:
        TypeError: if the output gives no score of an item for a row.
        ValueError: if the arguments do not fit the output.
    """
    output = model.output
    names_items = isinstance(output, (CategoricalOutput, TwoTowerOutput))
    if names_items and score is not None:
        raise ValueError(f"score is {score!r}, but {type(output).__name__} has one score only: leave it out")
    if isinstance(output, TwoTowerOutput):
        return _of_towers(model, output, items)
    if isinstance(output, CategoricalOutput):
        if items is not None:
            raise ValueError(
                f"{type(output).__name__} has a vector for each item of its catalogue, whatever the item's "
                "features: leave out items"
            )
        return _of_catalogue(model, output)
    name = _next_item(model, score)
    if name is not None:
        return _of_catalogue(model, output.outputs[name], name=name)
    if not isinstance(output, ScoreOutput):
        raise TypeError(f"{type(output).__name__} gives no scores of items: take a model that does")
    return _of_rows(model, _weights(output, score), items)


def _next_item(model: Model, score: ScoreChoice | None) -> str | None:
    """The target whose items are meant, of a model of several that answers with items among others."""
    output = model.output
    if not isinstance(output, TabularOutputBlock):
        return None
    names = [name for name, one in output.outputs.items() if isinstance(one, CategoricalOutput)]
    if score is not None:
        return score if isinstance(score, str) and score in names else None
    return names[0] if len(names) == 1 and not items_of_rows(model) else None


def _of_catalogue(model: Model, output: CategoricalOutput, *, name: str = "") -> PairScores:
    if output.elsewhere is not None:
        raise ValueError(
            "this model's items are shared out to several processes: call unshard_items(model) in all of "
            "them first"
        )
    with torch.inference_mode():
        vectors = output.item_vectors
    banned = torch.tensor(sorted({*output.exclude, *model.never_of(output)}), dtype=torch.int64)

    def known(codes: Tensor) -> Tensor:
        return (codes >= 0) & (codes < len(vectors)) & ~torch.isin(codes, banned)

    def of(batch: Batch) -> Scores:
        planned = model.for_prediction(batch)
        hidden = model.body(planned)
        queries = output.queries(hidden if isinstance(hidden, Tensor) else hidden[name], planned)

        def scores(rows: Tensor, codes: Tensor) -> Tensor:
            found = _products(queries[rows], vectors[codes])
            if output.bias is not None:
                found = found + output.bias[codes]
            return found / output.temperature

        return scores

    vocabulary = model.vocabulary_of(output)
    return PairScores(model.schema, str(output.item_id), vocabulary, known, of)


def _of_towers(model: Model, output: TwoTowerOutput, items: Any) -> PairScores:
    part = tower(model, output.query)
    among = items if isinstance(items, Candidates) else encode_candidates(model, items)

    def of(batch: Batch) -> Scores:
        queries = output.scaled(part(batch))
        return lambda rows, codes: (
            _products(queries[rows], among.vectors[among.places(codes)]) / output.temperature
        )

    return PairScores(
        part.schema,
        output.item_id,
        model.item_vocabulary,
        lambda codes: (among.places(codes.to(among.ids.device)) >= 0).cpu(),
        of,
    )


def _of_rows(model: Model, weights: Mapping[str, float] | None, items: Any) -> PairScores:
    """A row and an item are joined to a row as in training."""
    column = item_column(model)
    vocabulary = model.vocabularies.get(model.schema.domain_name(column.name))
    features = ItemFeatures.of_model(model, column, items)
    never = () if vocabulary is None else range(vocabulary.first)
    banned = torch.tensor([0, *never], dtype=torch.int64)
    size = model.schema.cardinality(column.name)

    def known(codes: Tensor) -> Tensor:
        inside = (codes >= 0) & (codes < size) & ~torch.isin(codes, banned)
        return inside & features.has(codes)

    def of(batch: Batch) -> Scores:
        rows_of_users = TensorTable(batch.to("cpu").features, torch.arange(len(batch)))

        def scores(rows: Tensor, codes: Tensor) -> Tensor:
            columns = rows_of_users.take(rows.cpu()) | features.of(codes.cpu())
            found = model.scores(Batch(columns).to(model.device))
            return _weighted(found, weights)

        return scores

    return PairScores(features.rest, column.name, vocabulary, known, of)


def _products(queries: Tensor, vectors: Tensor) -> Tensor:
    """(N,) dot products of (N, D) queries and (N, D) vectors, in float32 at least."""
    return (queries.float() * vectors.float()).sum(1)


def _weights(output: Any, score: ScoreChoice | None) -> dict[str, float] | None:
    """What each target's score counts; None for an output of another's making, with one score."""
    outputs: dict[str, Any] = {}
    if isinstance(output, TabularOutputBlock):
        outputs = dict(output.outputs.items())
    elif isinstance(output, TargetOutput):
        outputs = {output.target: output}
    elif score is None:
        return None
    rankable = [name for name, one in outputs.items() if isinstance(one, (BinaryOutput, RegressionOutput))]
    if score is None and len(rankable) == 1:
        return {rankable[0]: 1.0}
    if score is None and rankable:
        raise ValueError(
            f"the model has scores of {rankable}: name the one to rank by in score=, or give weights such as "
            f"score={dict.fromkeys(rankable, 1.0)}"
        )
    weights = (
        {score: 1.0} if isinstance(score, str) else {name: float(w) for name, w in (score or {}).items()}
    )
    unknown = [name for name in weights if name not in rankable]
    if unknown or not weights:
        raise ValueError(
            f"score is {score!r}, and items can be ranked by the probabilities or numbers of {rankable}: "
            "name one of these, or give weights of several"
        )
    return weights


def _weighted(found: Mapping[str, Any], weights: Mapping[str, float] | None) -> Tensor:
    names = dict.fromkeys(found, 1.0) if weights is None else {f"{n}_score": w for n, w in weights.items()}
    columns = [found[name] for name in names]
    if len(columns) != 1 and weights is None:
        raise ValueError(f"the model gives the columns {list(found)}, expected one score: take another model")
    if not all(isinstance(column, Tensor) and column.dim() == 1 for column in columns):
        raise ValueError(
            f"the model gives a list of {[*names]} for each row, expected one score: give the output a "
            "summary other than 'none'"
        )
    if list(names.values()) == [1.0]:
        return columns[0].float()  # type: ignore[no-any-return]
    total = torch.zeros_like(columns[0], dtype=torch.float32)
    for column, weight in zip(columns, names.values(), strict=True):
        total = total + weight * column.float()
    return total
