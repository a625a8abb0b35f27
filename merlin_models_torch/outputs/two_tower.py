"""Two towers: the dot product of a query's vector and a candidate's, learned with negatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from merlin_models_torch._counts import as_cut_offs, as_names
from merlin_models_torch.batch import Batch, Column
from merlin_models_torch.metrics import RetrievalMetrics
from merlin_models_torch.outputs.base import Widths
from merlin_models_torch.outputs.contrastive import Contrast, ContrastiveLoss, LogQ
from merlin_models_torch.outputs.labels import column_of, per_row, single_column
from merlin_models_torch.outputs.negatives import NegativeSampler, sampler_of
from merlin_models_torch.schema import ColumnSchema, Schema
from merlin_models_torch.serialize import serializable


@serializable
class TwoTowerOutput(nn.Module):
    """Retrieval with a tower for queries and one for candidates (Yi et al. 2019).

    The body gives both vectors by name, as ``ParallelBlock({"query": ..., "candidate": ...})`` does. Every
    row is a query and the item that it should find. Negatives are items of this and earlier batches, since an
    item has a vector only where its features are; the item id tells false negatives and how popular an item
    is.

    Metrics rank each row's item among all distinct items of the evaluated data, however it is batched, and
    are logged as ``val_recall_at_10``. ``forward`` and ``Model.predict`` give the score of each row's pair;
    with ``k``, ``Model.predict`` gives the best of all candidates for each row's query.

    Args:
        item_id: schema of the column of item ids, or its name together with ``size``. The loader must give
            it, the model need not use it.
        size: rows of the catalogue; taken from the schema's int domain if not given.
        query: name of the query's vector.
        candidate: name of the candidate's vector.
        negatives: :class:`InBatchNegatives`, :class:`CachedNegatives` or a mixture; the former if not given.
        loss: as for :class:`ContrastiveOutput`.
        log_q: as for :class:`ContrastiveOutput`.
        calibration: as for :class:`ContrastiveOutput`.
        penalty: as for :class:`ContrastiveOutput`.
        normalized: vectors get length 1 before the dot product.
        temperature: scores are divided by it.
        metrics: names of ranking metrics, see :class:`RankingMetrics`.
        top_ks: cut-offs of the metrics.

    Raises:
        ValueError: if the catalogue is not known, the sampler names items of the whole catalogue, or a number
            is out of range.

    Example:
        >>> users = mm.TabularInputBlock(click_schema.select("user_id"))
        >>> items = mm.TabularInputBlock(click_schema.select("item_id"))
        >>> towers = mm.ParallelBlock({
        ...     "query": mm.Block(users, mm.MLPBlock([8])),
        ...     "candidate": mm.Block(items, mm.MLPBlock([8])),
        ... })
        >>> output = mm.TwoTowerOutput(click_schema["item_id"], normalized=True, temperature=0.1)
        >>> answers = mm.Model(towers, output).predict({"user_id": [1, 2]}, k=3, candidates=clicks)
        >>> len(answers["item_id"][0])
        3
    """

    needs_plan = False

    def __init__(
        self,
        item_id: str | ColumnSchema | Schema,
        *,
        size: int | None = None,
        query: str = "query",
        candidate: str = "candidate",
        negatives: NegativeSampler | None = None,
        loss: ContrastiveLoss = "softmax",
        log_q: LogQ = "negatives",
        calibration: float = 0.75,
        penalty: float = 1.0,
        normalized: bool = False,
        temperature: float = 1.0,
        metrics: Sequence[str] = ("recall", "ndcg"),
        top_ks: Sequence[int] = (10, 20),
    ) -> None:
        super().__init__()
        column = single_column(item_id, argument="item_id")
        largest = (column.properties.get("domain") or {}).get("max")
        if size is None:
            if largest is None:
                raise ValueError(
                    f"the catalogue of {column.name!r} is not known: give size, or the schema of a column "
                    "with an int domain"
                )
            size = int(largest) + 1
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.negatives = sampler_of(negatives)
        if self.negatives.looks_up:
            raise ValueError(
                "negatives draws items of the whole catalogue, which have no vectors here: use "
                "InBatchNegatives, CachedNegatives or a mixture of these"
            )
        self._column = column
        self.item_id = column.name
        self.domain = Schema([column]).domain_name(column.name)
        self.size = size
        self.query, self.candidate = query, candidate
        self.contrast = Contrast(loss, log_q=log_q, calibration=calibration, penalty=penalty)
        self.normalized = normalized
        self.temperature = temperature
        self.metrics = as_names("metrics", metrics)
        self.top_ks = as_cut_offs("top_ks", top_ks)

    def build(self, inputs: Any, width: Widths) -> None:
        """Gives the sampler its sizes.

        Args:
            inputs: not used.
            width: widths of the body's outputs by name.

        Raises:
            ValueError: if one of the two is missing, or their widths differ.
        """
        names = (self.query, self.candidate)
        widths = {} if isinstance(width, int) else {name: width[name] for name in names if name in width}
        if len(widths) < 2 or len(set(widths.values())) > 1:
            given = width if isinstance(width, int) else dict(width)
            raise ValueError(
                f"the body gives widths {given}, expected {self.query!r} and {self.candidate!r} of one "
                "width: end it with a ParallelBlock of two towers"
            )
        self.negatives.build(self.size, width=widths[self.query])

    def vectors(self, hidden: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Vectors of queries and of candidates, both (B, D)."""
        return self.scaled(hidden[self.query]), self.scaled(hidden[self.candidate])

    def scaled(self, vectors: Tensor) -> Tensor:
        """(..., D) vectors of one tower as they enter the dot product."""
        return normalize(vectors, dim=-1) if self.normalized else vectors

    def forward(self, hidden: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """(B,) score of each row's query and candidate."""
        query, candidate = self.vectors(hidden)
        return (query * candidate).sum(-1) / self.temperature

    def targets(self, batch: Batch) -> Tensor:
        """(B,) int64 item of each row."""
        return per_row(column_of(batch, self.item_id), self.item_id).long()

    def count(self, batch: Batch) -> int:
        """Rows of the batch."""
        return len(self.targets(batch))

    def loss(
        self, hidden: Mapping[str, Tensor], batch: Batch, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Mean over the rows: a scalar. In evaluation it uses the same negatives, and learns nothing of them.

        Args:
            hidden: vectors by name.
            batch: with the item ids.
            generator: not used by samplers that take what is there.
        """
        query, candidate = self.vectors(hidden)
        ids = self.targets(batch)
        drawn = self.negatives(ids, vectors=candidate, generator=generator)
        if drawn.vectors is None:
            raise ValueError(
                "the sampler gives negatives without vectors: use InBatchNegatives or CachedNegatives"
            )
        negative = query @ drawn.vectors.T / self.temperature
        positive = self(hidden, batch)
        each = self.contrast(positive, negative, ids, drawn, self.negatives, items=self.size - 1)
        if self.training:
            self.negatives.observe(ids, vectors=candidate)
        return each.sum() / max(len(ids), 1)

    def predictions(self, hidden: Mapping[str, Tensor], batch: Batch) -> dict[str, Column]:
        """``<item_id>_score``: (B,) score of each row's pair."""
        return {f"{self.item_id}_score": self(hidden, batch)}

    def make_metrics(self) -> RetrievalMetrics:
        """Fresh metrics for one kind of evaluation."""
        return RetrievalMetrics(metrics=self.metrics, top_ks=self.top_ks)

    def update_metrics(
        self,
        metrics: RetrievalMetrics,
        hidden: Mapping[str, Tensor],
        batch: Batch,
        *,
        seen: Tensor | None = None,
        never: Sequence[int] = (),
    ) -> None:
        """Adds the rows of a batch."""
        query, candidate = self.vectors(hidden)
        metrics.update(query.detach(), candidate.detach(), self.targets(batch))

    def init_arguments(self) -> dict[str, Any]:
        """What builds this output again."""
        contrast = self.contrast
        return {
            "item_id": Schema([self._column]),
            "size": self.size,
            "query": self.query,
            "candidate": self.candidate,
            "negatives": self.negatives,
            "loss": contrast.loss,
            "log_q": contrast.log_q,
            "calibration": contrast.calibration,
            "penalty": contrast.penalty,
            "normalized": self.normalized,
            "temperature": self.temperature,
            "metrics": self.metrics,
            "top_ks": self.top_ks,
        }
