"""Cross entropy of a softmax over items whose vectors are in several processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from merlin_models_torch.distributed.exchange import Span
from merlin_models_torch.outputs.losses import plan_of
from merlin_models_torch.outputs.tiled import (
    Plan,
    log_sum_exp,
    softmax_gradients,
    target_scores,
    without_autocast,
)
from merlin_models_torch.outputs.tiles import Tiles, sizes_for


def sharded_cross_entropy(
    queries: Tensor,
    vectors: Tensor,
    targets: Tensor,
    span: Span,
    *,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """What :func:`softmax_cross_entropy` gives for the vectors of all processes.

    Every process scores the queries of all against its own items, piece by piece; the log-sum-exp of the
    parts is that of the whole. Scores are made once more for the gradients and never kept.

    Args:
        queries: (N, D) float, of this process.
        vectors: (v, D) float, the rows of the catalogue that this process holds.
        targets: (N,) int64 items, of this process.
        span: which rows these are.
        bias: (v,) float added to the dot products, of the same rows.
        temperature: divides the logits.
        label_smoothing: share of the target's probability spread evenly over all items.

    Returns:
        The mean over this process's targets, a scalar; 0 if it has none. The gradients of ``vectors`` and
        ``bias`` are the mean over the processes of the gradients of their losses.

    Raises:
        ValueError: if a target is not in the catalogue.
    """
    if len(targets):
        smallest, largest = torch.stack(torch.aminmax(targets)).tolist()
        if smallest < 0 or largest >= span.rows:
            wrong = smallest if smallest < 0 else largest
            raise ValueError(
                f"target id {wrong} is outside the catalogue of {span.rows} items (0 to {span.rows - 1}): "
                "encode the ids with the vocabulary, or raise the column's int domain in the schema"
            )
    counts = [count for (count,) in span.counts([len(targets)])]
    tiles = Tiles.choose(sum(counts), max(len(vectors), 1), sizes_for(queries.device))
    plan = plan_of(queries, vectors, tiles, label_smoothing=label_smoothing)
    with without_autocast(queries.device):
        queries = queries.to(plan.wide) / temperature
        if bias is not None:
            bias = bias.to(plan.wide) / temperature
    each: Tensor = _ShardedCrossEntropy.apply(queries, vectors, bias, targets, plan, span, counts)  # type: ignore[no-untyped-call]
    return each.sum() / max(len(targets), 1)


class _ShardedCrossEntropy(Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        vectors: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        plan: Plan,
        span: Span,
        counts: list[int],
    ) -> Tensor:
        with without_autocast(queries.device):
            everyone = span.gathered(queries, counts)
            items = span.gathered(targets, counts)
            own = span.holds(items).nonzero().view(-1)
            rows = items[own] - span.start
            part = log_sum_exp(everyone, vectors, bias, plan)
            lse = span.gathered(part[None], [1] * span.world).logsumexp(0)
            score = torch.zeros_like(lse)
            score[own] = target_scores(everyone[own], vectors, bias, rows, plan)
            mean = _mean_vector(vectors, bias, plan, span) if plan.smoothing else None
            loss = lse - (1 - plan.smoothing) * span.summed(score)
            if mean is not None:
                loss -= plan.smoothing * (everyone @ mean[:-1] + mean[-1])
        ctx.save_for_backward(everyone, vectors, bias, own, rows, lse, mean)
        ctx.plan, ctx.span, ctx.counts = plan, span, counts
        return loss[_mine(span, counts)].clone()

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        everyone, vectors, bias, own, rows, lse, mean = ctx.saved_tensors
        plan, span, counts = ctx.plan, ctx.span, ctx.counts
        needs = ctx.needs_input_grad[:3]
        with without_autocast(everyone.device):
            scale = span.gathered(above[0].to(plan.wide), counts)
            if not len(scale):
                return *_zeros(ctx, everyone, vectors, bias), None, None, None, None
            found = softmax_gradients(everyone, vectors, bias, scale, needs, plan, lse)
            of_queries, of_vectors, of_bias = found[:3]
            certain, even = 1 - plan.smoothing, plan.smoothing / span.rows
            pushed = everyone[own] * scale[own, None]
            if of_queries is not None:
                of_queries[own] -= vectors[rows].to(plan.wide) * (certain * scale[own, None])
                of_queries = span.summed(of_queries)
                if mean is not None:
                    of_queries -= torch.outer(scale, mean[:-1]) * plan.smoothing
                of_queries = of_queries[_mine(span, counts)]
            if of_vectors is not None:
                of_vectors.index_add_(0, rows, pushed, alpha=-certain)
                if even:
                    of_vectors -= (everyone * scale[:, None]).sum(0) * even
                of_vectors = (of_vectors / span.world).to(vectors.dtype)
            if of_bias is not None:
                of_bias.index_add_(0, rows, scale[own], alpha=-certain)
                if even:
                    of_bias -= scale.sum() * even
                of_bias /= span.world
        return of_queries, of_vectors, of_bias, None, None, None, None


def _mine(span: Span, counts: list[int]) -> slice:
    """Where the rows of this process are among those of all."""
    start = sum(counts[: span.rank])
    return slice(start, start + counts[span.rank])


def _mean_vector(vectors: Tensor, bias: Tensor | None, plan: Plan, span: Span) -> Tensor:
    """(D + 1,) mean of the vectors and of the biases of all items."""
    of_bias = vectors.new_zeros(1, dtype=plan.wide) if bias is None else bias.sum()[None]
    total = torch.cat([vectors.sum(0, dtype=plan.wide), of_bias])
    return span.summed(total) / span.rows


def _zeros(ctx: Any, everyone: Tensor, vectors: Tensor, bias: Tensor | None) -> list[Tensor | None]:
    inputs = zip((everyone, vectors, bias), ctx.needs_input_grad, strict=False)
    return [torch.zeros_like(t) if needed and t is not None else None for t, needed in inputs]
