"""Exact top-k over a large catalogue, in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from merlin_models_torch._counts import check_count
from merlin_models_torch._products import in_lines, put_scores
from merlin_models_torch._recording import is_recorded
from merlin_models_torch.retrieval.partition import best_by_partition

# Scores held at a time unless the caller says: 32 MiB of float32.
_SCORES = 2**23
# Maxima of narrower groups cost more than they spare.
_NARROWEST_GROUP = 32
# Scores for each answer above which torch's top-k and a look at ties are faster than keys, measured on CPU.
_MANY = 16


def topk_blockwise(
    queries: Tensor,
    items: Tensor,
    *,
    k: int,
    block: int | None = None,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    exclude: Tensor | Sequence[Sequence[int] | Tensor] | None = None,
    never: Sequence[int] = (),
) -> tuple[Tensor, Tensor]:
    """The k best items of each query by dot product, without the full score matrix.

    Args:
        queries: (B, D) float.
        items: (V, D) float, one row per item id.
        k: answers per query, at most the V rows less those in ``never``.
        block: items scored at a time; bounds memory to B * block scores (some millions if not given).
        bias: (V,) float added to the dot products.
        temperature: divides the scores.
        exclude: (B, E) int64 rows that are no answers for each query, filled up with -1; or one sequence of
            rows for each query.
        never: rows that are no answers for any query.

    Returns:
        Scores (B, k) in falling order and item rows (B, k) int64. Equal scores come in order of row. Where a
        query's exclusions leave fewer than k items, the rest has score -inf and row -1.

    Raises:
        ValueError: if k is larger than the catalogue, or an excluded row is not in it.

    Example:
        >>> items = torch.tensor([[3.0, 0.0], [5.0, 0.0], [5.0, 0.0]])
        >>> scores, rows = topk_blockwise(torch.tensor([[1.0, 0.0]]), items, k=2)
        >>> rows.tolist()
        [[1, 2]]
    """
    check_shapes(queries, items, bias, temperature)
    if block is not None and block < 1:
        raise ValueError(f"block is {block}, but must be at least 1")
    n_queries, catalogue = queries.shape[0], items.shape[0]
    if block is None:
        # No power of two: rows of scores that far apart would share few cache lines.
        block = max(_SCORES // max(n_queries, 1), 2048) - 16
    banned = as_rows(sorted(set(never)), catalogue, "never", queries.device)
    check_k(k, catalogue, banned.shape[0])
    excluded = None if exclude is None else as_exclusions(exclude, n_queries, catalogue, queries.device)
    best: tuple[Tensor, Tensor] | None = None
    dtype = torch.promote_types(queries.dtype, items.dtype)
    queries = queries.to(dtype)
    # One piece of memory for all blocks: fresh pages would cost as much as the products.
    buffer = in_lines(queries, n_queries, min(block, catalogue))
    with torch.no_grad(), without_autocast(queries.device):
        for start in range(0, catalogue, block):
            stop = min(start + block, catalogue)
            scores = buffer[:, : stop - start]
            put_scores(scores, queries, items[start:stop].to(dtype))
            if bias is not None:
                scores += bias[start:stop]
            if temperature != 1:
                scores /= temperature
            scores[:, banned[(banned >= start) & (banned < stop)] - start] = -torch.inf
            if excluded is not None:
                row, column = ((excluded >= start) & (excluded < stop)).nonzero(as_tuple=True)
                scores[row, excluded[row, column] - start] = -torch.inf
            found = _best_of_block(scores, k, start)
            if best is not None:
                # Earlier rows stand first, which is what the order among equal scores needs.
                found = best_in_order(torch.cat([best[0], found[0]], 1), torch.cat([best[1], found[1]], 1), k)
            best = found
    if best is None:
        raise ValueError("items has no rows: the catalogue is empty")
    return best[0], torch.where(best[0] == -torch.inf, -1, best[1])


def topk_of_scores(scores: Tensor, *, k: int) -> tuple[Tensor, Tensor]:
    """The k best of scores that are there already.

    Args:
        scores: (B, V) float, not nan.
        k: answers per row, at most V.

    Returns:
        Scores (B, k) in falling order and columns (B, k) int64. Equal scores come in order of column.

    Raises:
        ValueError: if k is larger than the catalogue.

    Example:
        >>> scores, items = topk_of_scores(torch.tensor([[0.1, 0.9, 0.9, 0.3]]), k=2)
        >>> items
        tensor([[1, 2]])
    """
    if scores.dim() != 2:
        raise ValueError(
            f"scores have shape {tuple(scores.shape)}, but must be (B, V): give one row per query"
        )
    check_count("k", k)
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"k is {k}, but the catalogue has {scores.shape[1]} items: choose k from 1 to that")
    with torch.no_grad():
        return _best_of_block(scores, k, 0)


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Autocast off: scores rounded to bfloat16 would tie by the hundred."""
    if not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def _best_of_block(scores: Tensor, k: int, start: int) -> tuple[Tensor, Tensor]:
    """The best min(k, v) of (B, v) scores, whose first column is item row ``start``.

    Where :func:`best_by_partition` is not the way, it looks first at the maxima of narrow groups of
    neighbours: k groups with the best maxima hold all of the k best scores, so that the sorting sees some
    k * width scores instead of all.
    """
    size = scores.shape[1]
    found = best_by_partition(scores, min(k, size))
    if found is not None:
        return found[0], found[1] + start
    width = max(int((size / k) ** 0.5), _NARROWEST_GROUP)
    if size < 2 * k * width:
        rows = torch.arange(start, start + size, device=scores.device).expand_as(scores)
        return best_in_order(scores, rows, min(k, size))
    count = size // width
    maxima = scores[:, : count * width].unflatten(1, (count, width)).amax(2)  # type: ignore[no-untyped-call]
    numbers = torch.arange(count, device=scores.device).expand_as(maxima)
    groups = best_in_order(maxima, numbers, k)[1].sort(1).values
    columns = (groups[:, :, None] * width + torch.arange(width, device=scores.device)).flatten(1)
    rest = torch.arange(count * width, size, device=scores.device).expand(scores.shape[0], -1)
    columns = torch.cat([columns, rest], 1)
    return best_in_order(scores.gather(1, columns), columns + start, k)


def best_in_order(scores: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best of (B, v) scores with their rows, best first; ``rows`` must rise where scores are equal."""
    # A program that is recorded can neither look at scores nor bind itself to sizes.
    if not is_recorded() and scores.shape[1] >= _MANY * k:
        values, at = scores.topk(k + 1, dim=1)
        # Which of equal scores topk takes is open: no matter, unless the last place is between two of them.
        if not bool((values[:, k - 1] == values[:, k]).any()):
            at = at[:, :k].sort(1).values
            values, order = scores.gather(1, at).sort(dim=1, descending=True, stable=True)
            return values, rows.gather(1, at.gather(1, order))
    return _best_by_keys(scores, rows, k)


def _best_by_keys(scores: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The same by numbers of which no two are equal, whatever the scores."""
    if scores.dtype == torch.float64:
        values, at = scores.sort(dim=1, descending=True, stable=True)
        return values[:, :k], rows.gather(1, at[:, :k])
    # Above, the bits of the score ordered as integers (adding 0 makes -0 the same as 0), below, the place
    # counted backwards.
    bits = (scores.float() + 0.0).view(torch.int32).long()
    rank = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    backwards = torch.arange(scores.shape[1] - 1, -1, -1, device=scores.device)
    keys = (rank << 32) | backwards
    best = keys.topk(min(k, scores.shape[1]), 1).values
    at = scores.shape[1] - 1 - (best & 0xFFFFFFFF)
    return scores.gather(1, at), rows.gather(1, at)


def as_rows(rows: Sequence[int] | Tensor, catalogue: int, name: str, device: torch.device) -> Tensor:
    found = torch.as_tensor(rows, dtype=torch.int64, device=device).reshape(-1)
    wrong = found[(found < 0) | (found >= catalogue)]
    if wrong.shape[0]:
        raise ValueError(
            f"{name} holds row {int(wrong[0])}, but the catalogue has rows 0 to {catalogue - 1}: drop it"
        )
    return found


def as_exclusions(
    exclude: Tensor | Sequence[Sequence[int] | Tensor], n_queries: int, catalogue: int, device: torch.device
) -> Tensor | None:
    if isinstance(exclude, Tensor):
        if exclude.dim() != 2 or exclude.shape[0] != n_queries:
            raise ValueError(
                f"exclude has shape {tuple(exclude.shape)}, but there are {n_queries} queries: "
                "give a matrix with one line for each"
            )
        wrong = exclude[(exclude < -1) | (exclude >= catalogue)]
        if wrong.numel():
            raise ValueError(
                f"exclude holds row {int(wrong[0])}, but the catalogue has rows 0 to {catalogue - 1}: "
                "use -1 for places without a row"
            )
        return exclude.to(device)
    if len(exclude) != n_queries:
        raise ValueError(
            f"exclude has {len(exclude)} entries, but there are {n_queries} queries: give one for each query"
        )
    each = [as_rows(rows, catalogue, "exclude", device) for rows in exclude]
    return torch.nn.utils.rnn.pad_sequence(each, batch_first=True, padding_value=-1) if each else None


def check_k(k: int, catalogue: int, never: int) -> None:
    """Refuses a number of answers below 1 or above what the catalogue has, less rows never answered."""
    check_count("k", k)
    if k < 1:
        raise ValueError(f"k is {k}, but must be at least 1")
    if k > catalogue - never:
        without = f" less {never} that are never answered" if never else ""
        raise ValueError(f"k is {k}, but the catalogue has {catalogue} items{without}: ask for fewer answers")


def check_shapes(queries: Tensor, items: Tensor, bias: Tensor | None, temperature: float) -> None:
    """Refuses vectors, a bias or a temperature that do not fit together."""
    if queries.dim() != 2 or items.dim() != 2 or queries.shape[1] != items.shape[1]:
        raise ValueError(
            f"queries and items have shapes {tuple(queries.shape)} and {tuple(items.shape)}, "
            "but must be (B, D) and (V, D): project one of them to the width of the other"
        )
    if bias is not None and bias.shape != items.shape[:1]:
        raise ValueError(
            f"bias has shape {tuple(bias.shape)}, but there are {items.shape[0]} items: "
            "give one number per item"
        )
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, but must be above 0")
