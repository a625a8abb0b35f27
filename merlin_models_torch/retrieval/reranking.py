"""Candidates in the order of a model's scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from merlin_models_torch.batch import Batch
from merlin_models_torch.data import ParquetLoader
from merlin_models_torch.data.errors import RowError
from merlin_models_torch.data.source import open_source
from merlin_models_torch.outputs.labels import batch_device
from merlin_models_torch.retrieval.answers import Answers, original_ids
from merlin_models_torch.retrieval.given import Given
from merlin_models_torch.retrieval.inference import evaluating
from merlin_models_torch.retrieval.keys import Keyed
from merlin_models_torch.retrieval.pairs import PairScores, ScoreChoice, pair_scores
from merlin_models_torch.retrieval.predict import answer, answer_to_parquet

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

Unknown = Literal["error", "drop"]
# Pairs that are scored at a time: bounds memory, however long the lists are.
_PAIRS = 8192


def rerank(
    model: Model,
    data: Any,
    candidates: Any,
    *,
    k: int | None = None,
    items: Any = None,
    score: ScoreChoice | None = None,
    coded: bool = False,
    unknown: Unknown = "error",
    keys: Sequence[str] | None = None,
    batch_size: int = 512,
) -> pa.Table:
    """What :meth:`merlin_models_torch.training.Model.rerank` does."""
    answers = _answers(model, data, candidates, k, items, score, coded, unknown)
    return answer(model, data, answers, keys=keys, batch_size=batch_size)


def rerank_to_parquet(
    model: Model,
    data: Any,
    folder: str | Path,
    candidates: Any,
    *,
    k: int | None = None,
    items: Any = None,
    score: ScoreChoice | None = None,
    coded: bool = False,
    unknown: Unknown = "error",
    keys: Sequence[str] | None = None,
    batch_size: int = 512,
    overwrite: bool = False,
    progress: bool | None = None,
    part: tuple[int, int] | None = None,
) -> Path:
    """What :meth:`merlin_models_torch.training.Model.rerank_to_parquet` does."""
    answers = _answers(model, data, candidates, k, items, score, coded, unknown)
    besides = {"candidates": answers.given and answers.given.content, "items": items}
    return answer_to_parquet(
        model,
        data,
        folder,
        answers,
        besides=besides,
        keys=keys,
        batch_size=batch_size,
        overwrite=overwrite,
        progress=progress,
        part=part,
    )


def _answers(
    model: Model,
    data: Any,
    candidates: Any,
    k: int | None,
    items: Any,
    score: ScoreChoice | None,
    coded: bool,
    unknown: Unknown,
) -> Answers:
    """How a model orders candidates."""
    if k is not None and k < 1:
        raise ValueError(f"k is {k}, expected at least 1, or None for all candidates")
    if unknown not in ("error", "drop"):
        raise ValueError(f"unknown is {unknown!r}, expected 'error' or 'drop'")
    with evaluating(model):
        scored = pair_scores(model, items=items, score=score)
    source = data.source if isinstance(data, ParquetLoader) else open_source(data)
    given = Given.of(candidates, source, item_id=scored.item_id)

    def columns(batch: Batch, own: Keyed) -> dict[str, pa.Array]:
        assert own.given is not None  # Answers.given says so
        _check_keys(own.keys, own.given)
        lists = own.given.column(0).combine_chunks()
        owners, codes = _pairs(lists, scored, batch, coded=coded, unknown=unknown)
        scores = _scores(scored, batch.to(model.device), owners, codes)
        return _best(scored, len(batch), owners, codes, scores, k)

    question = {
        "rerank": given.column if given.in_data else "beside",
        "k": k,
        "score": dict(score) if score is not None and not isinstance(score, str) else score,
        "coded": coded,
        "unknown": unknown,
    }
    return Answers(scored.schema, columns, scored.item_id, question, given)


def _check_keys(keys: pa.Table, given: pa.Table) -> None:
    for name in given.column_names[1:]:
        ours, theirs = keys[name], given[name]
        if ours.to_pylist() != theirs.to_pylist():
            at = next(n for n, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])
            raise ValueError(
                f"candidates has {name} {theirs[at].as_py()!r} where the data has {ours[at].as_py()!r}: give "
                "a list of ids for each row of the data, in its order"
            )


def _pairs(
    lists: pa.Array, scored: PairScores, batch: Batch, *, coded: bool, unknown: Unknown
) -> tuple[Tensor, Tensor]:
    """Row of the batch (N,) and item row (N,) of each candidate, once each, both rising."""
    import pyarrow.compute as pc

    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)
    ids = pc.list_flatten(lists)
    owners = torch.from_numpy(np.repeat(np.arange(len(lengths)), lengths))
    # Answers of a model end with nulls where fewer were left; they are no candidates, nor is padding.
    codes = _codes(ids, scored, coded)
    real = torch.from_numpy(np.array(pc.is_valid(ids), dtype=bool))
    if coded or scored.vocabulary is None:
        real &= codes != 0
    owners, codes, places = owners[real], codes[real], real.nonzero()[:, 0]
    known = scored.known(codes)
    if not bool(known.all()) and unknown == "error":
        at = int((~known).nonzero()[0, 0])
        raise RowError(
            int(owners[at]),
            f"has the candidate {ids[int(places[at])].as_py()!r}, which the model has no score for: leave it "
            "out, or pass unknown='drop'",
        )
    owners, codes = owners[known], codes[known]
    span = int(codes.max()) + 1 if len(codes) else 1
    pairs = torch.unique(owners * span + codes)
    return pairs // span, pairs % span


def _codes(ids: pa.Array, scored: PairScores, coded: bool) -> Tensor:
    if scored.vocabulary is not None and not coded:
        return torch.from_numpy(scored.vocabulary.encode(ids))
    if not pa.types.is_integer(ids.type) and not pa.types.is_null(ids.type):
        raise ValueError(
            f"the candidates are of type {ids.type}, expected rows of the catalogue, which are integers: "
            "encode them, or give the model vocabularies"
        )
    filled = ids.cast(pa.int64()).fill_null(0) if len(ids) else pa.array([], pa.int64())
    return torch.from_numpy(np.array(filled, dtype=np.int64))


def _scores(scored: PairScores, batch: Batch, owners: Tensor, codes: Tensor) -> Tensor:
    """(N,) float32 score of each pair."""
    of, device = scored.of(batch), batch_device(next(iter(batch.features.values())))
    owners, codes = owners.to(device), codes.to(device)
    found = [of(owners[n : n + _PAIRS], codes[n : n + _PAIRS]) for n in range(0, len(owners), _PAIRS)]
    return torch.cat([one.float().cpu() for one in found]) if found else torch.empty(0)


def _best(
    scored: PairScores, count: int, owners: Tensor, codes: Tensor, scores: Tensor, k: int | None
) -> dict[str, pa.Array]:
    """Lists of ids and of scores: the best first, equal ones by item row."""
    order = scores.argsort(descending=True, stable=True)
    order = order[owners[order].argsort(stable=True)]
    owners, codes, scores = owners[order], codes[order], scores[order]
    counts = torch.bincount(owners, minlength=count)
    if k is not None:
        starts = counts.cumsum(0) - counts
        kept = torch.arange(len(owners)) - starts[owners] < k
        codes, scores, counts = codes[kept], scores[kept], counts.clamp(max=k)
    offsets = pa.array(torch.nn.functional.pad(counts.cumsum(0), (1, 0)).numpy())
    ids = original_ids(scored.vocabulary, codes.numpy())
    return {
        scored.item_id: pa.LargeListArray.from_arrays(offsets, ids),
        "score": pa.LargeListArray.from_arrays(offsets, pa.array(scores.numpy())),
    }
