"""The best items of a catalogue whose vectors are in several processes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from merlin_models_torch.distributed.exchange import Span
from merlin_models_torch.retrieval.topk import as_exclusions, as_rows, best_in_order, check_k, topk_blockwise


def sharded_topk(
    queries: Tensor,
    vectors: Tensor,
    span: Span,
    *,
    k: int,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    exclude: Tensor | None = None,
    never: Sequence[int] = (),
) -> tuple[Tensor, Tensor]:
    """What :func:`topk_blockwise` gives for the vectors of all processes.

    Every process answers the queries of all from its own items; the best of these answers are the answers.

    Args:
        queries: (N, D) float, of this process.
        vectors: (v, D) float, the rows of the catalogue that this process holds.
        span: which rows these are.
        k: answers per query.
        bias: (v,) float added to the dot products, of the same rows.
        temperature: divides the scores.
        exclude: (N, E) int64 items that are no answers for each query, filled up with -1.
        never: items that are no answers for any query.

    Returns:
        Scores (N, k) in falling order and items (N, k) int64. Equal scores come in order of item. Where a
        query's exclusions leave fewer than k items, the rest has score -inf and item -1.

    Raises:
        ValueError: if k is larger than the catalogue, or an excluded item is not in it.
    """
    banned = as_rows(sorted(set(never)), span.rows, "never", queries.device)
    check_k(k, span.rows, len(banned))
    excluded = None
    if exclude is not None:
        excluded = as_exclusions(exclude, len(queries), span.rows, queries.device)
    width = 0 if excluded is None else excluded.shape[1]
    sizes = span.counts([len(queries), width])
    counts, widest = [count for count, _ in sizes], max(size for _, size in sizes)
    with torch.no_grad():
        everyone = span.gathered(queries, counts)
        if widest:
            padded = torch.full((len(queries), widest), -1, device=queries.device)
            if excluded is not None:
                padded[:, :width] = excluded
            excluded = span.gathered(padded, counts)
            excluded = torch.where(span.holds(excluded), excluded - span.start, -1)
        never_here = (banned[span.holds(banned)] - span.start).tolist()
        scores, items = _own(everyone, vectors, k, bias, temperature, excluded, never_here)
        items = torch.where(items < 0, items, items + span.start)
        # Each process gets the answers to its own queries, of one process after the other.
        received = [counts[span.rank]] * span.world
        shape = (span.world, counts[span.rank], k)
        scores = span.swapped(scores, counts, received).view(shape).transpose(0, 1).flatten(1)
        items = span.swapped(items, counts, received).view(shape).transpose(0, 1).flatten(1)
    # Items rise from process to process, so equal scores are in order already.
    return best_in_order(scores, items, k)


def _own(
    queries: Tensor,
    vectors: Tensor,
    k: int,
    bias: Tensor | None,
    temperature: float,
    excluded: Tensor | None,
    never: list[int],
) -> tuple[Tensor, Tensor]:
    """The best k of the items of this process, or what there is, filled up with -inf and -1."""
    some = min(k, len(vectors) - len(never))
    dtype = torch.promote_types(queries.dtype, vectors.dtype)
    scores = queries.new_full((len(queries), k), -torch.inf, dtype=dtype)
    items = torch.full((len(queries), k), -1, device=queries.device)
    if some > 0 and len(queries):
        scores[:, :some], items[:, :some] = topk_blockwise(
            queries, vectors, k=some, bias=bias, temperature=temperature, exclude=excluded, never=never
        )
    return scores, items
