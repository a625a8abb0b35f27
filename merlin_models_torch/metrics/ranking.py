"""Ranking measures of answers that are already ranked: one top-k serves all of them.

Every function takes the same two tensors. ``relevance[n, i]`` says how relevant answer ``i`` (best first) is
to query ``n``: a bool, or 0 and 1. ``n_relevant[n]`` counts what is relevant to query ``n`` in the whole
catalogue, found or not. With one relevant item of rank ``r`` all follow from the rank: hit rate and recall
are ``[r <= k]``, precision ``[r <= k] / k``, MRR and MAP ``[r <= k] / r``, NDCG ``[r <= k] / log2(r + 1)``.

Relevance between 0 and 1 is allowed and counts in proportion; what that means is in each formula.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor


def relevance_of(answers: Tensor, targets: Tensor, *, padding: int = -1) -> tuple[Tensor, Tensor]:
    """Which answers are relevant, and how many items are.

    Args:
        answers: (N, K) int64 ids, best first, none twice in a row.
        targets: (N,) int64 the relevant id of each query; or (N, M) several different ones.
        padding: fills the places of (N, M) targets that hold no id.

    Returns:
        Relevance (N, K) bool and its count n_relevant (N,) int64.

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> relevance, n_relevant = relevance_of(torch.tensor([[4, 7, 9]]), torch.tensor([7]))
        >>> relevance.tolist(), n_relevant.tolist()
        ([[False, True, False]], [1])
    """
    if answers.dim() != 2 or targets.dim() not in (1, 2) or targets.shape[0] != answers.shape[0]:
        raise ValueError(
            f"answers and targets have shapes {tuple(answers.shape)} and {tuple(targets.shape)}, "
            "but must be (N, K) and (N,) or (N, M): give the targets of each row of answers"
        )
    if targets.dim() == 1:
        return answers == targets[:, None], torch.ones_like(targets)
    given = targets != padding
    same = (answers[:, :, None] == targets[:, None, :]) & given[:, None, :]
    return same.any(2), given.sum(1)


def hit_rate_at(relevance: Tensor, n_relevant: Tensor, *, k: int) -> Tensor:
    """1 for a query with something relevant among its first k answers, else 0.

    Args:
        relevance: (N, K) bool or float, best answer first.
        n_relevant: (N,) relevant items of each query; not used, here so that all measures are called alike.
        k: answers looked at.

    Returns:
        (N,) float32.

    Raises:
        ValueError: if there are fewer than k answers.

    Example:
        >>> relevance = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
        >>> hit_rate_at(relevance, torch.tensor([3, 1]), k=2)
        tensor([1., 0.])
    """
    return (_first(relevance, k) > 0).any(1).float()


def precision_at(relevance: Tensor, n_relevant: Tensor, *, k: int) -> Tensor:
    """Share of the first k answers that is relevant: ``sum_i rel_i / k``.

    Source: Manning, Raghavan, Schütze 2008, section 8.3.

    Args:
        relevance: (N, K) bool or float, best answer first.
        n_relevant: (N,) relevant items of each query; not used, here so that all measures are called alike.
        k: answers looked at.

    Returns:
        (N,) float32.

    Raises:
        ValueError: if there are fewer than k answers.

    Example:
        >>> relevance = torch.tensor([[0.0, 1.0, 1.0]])
        >>> precision_at(relevance, torch.tensor([3]), k=2)
        tensor([0.5000])
    """
    return _first(relevance, k).sum(1) / k


def recall_at(relevance: Tensor, n_relevant: Tensor, *, k: int) -> Tensor:
    """Share of the relevant items that is among the first k answers: ``sum_i rel_i / n``.

    Source: Manning, Raghavan, Schütze 2008, section 8.3.

    Args:
        relevance: (N, K) bool or float, best answer first.
        n_relevant: (N,) relevant items of each query.
        k: answers looked at.

    Returns:
        (N,) float32, 0 where nothing is relevant.

    Raises:
        ValueError: if there are fewer than k answers.

    Example:
        >>> relevance = torch.tensor([[0.0, 1.0, 1.0]])
        >>> recall_at(relevance, torch.tensor([4]), k=3)
        tensor([0.5000])
    """
    return _per(_first(relevance, k).sum(1), n_relevant)


def mrr_at(relevance: Tensor, n_relevant: Tensor, *, k: int) -> Tensor:
    """Reciprocal of the first relevant rank: ``max_i rel_i / i`` over the first k.

    Source: Voorhees 1999, the TREC-8 question answering track.

    Args:
        relevance: (N, K) bool or float, best answer first.
        n_relevant: (N,) relevant items of each query; not used, here so that all measures are called alike.
        k: answers looked at.

    Returns:
        (N,) float32, 0 where no answer is relevant.

    Raises:
        ValueError: if there are fewer than k answers.

    Example:
        >>> relevance = torch.tensor([[0.0, 1.0, 1.0]])
        >>> mrr_at(relevance, torch.tensor([3]), k=2)
        tensor([0.5000])
    """
    first = _first(relevance, k)
    return (first / _ranks(first)).amax(1)


def map_at(relevance: Tensor, n_relevant: Tensor, *, k: int) -> Tensor:
    """Average precision: ``sum_i rel_i precision@i / min(n, k)``, the mean of which is MAP.

    Source: Manning, Raghavan, Schütze 2008, section 8.4, cut at k, and so divided by what k answers could
    hold. (torchmetrics divides by what they did hold.)

    Args:
        relevance: (N, K) bool or float, best answer first.
        n_relevant: (N,) relevant items of each query.
        k: answers looked at.

    Returns:
        (N,) float32, 0 where nothing is relevant.

    Raises:
        ValueError: if there are fewer than k answers.

    Example:
        >>> relevance = torch.tensor([[0.0, 1.0, 1.0]])
        >>> map_at(relevance, torch.tensor([3]), k=2)
        tensor([0.2500])
    """
    first = _first(relevance, k)
    precision = first.cumsum(1) / _ranks(first)
    return _per((precision * first).sum(1), n_relevant.clamp(max=k))


def ndcg_at(relevance: Tensor, n_relevant: Tensor, *, k: int, ideal: Tensor | None = None) -> Tensor:
    """Discounted gain over that of the best order, where ``DCG = sum_i rel_i / log2(i + 1)``.

    Source: Järvelin, Kekäläinen 2002, with the discount of Burges et al. 2005 from the first rank on.

    Args:
        relevance: (N, K) bool or float gain, best answer first.
        n_relevant: (N,) relevant items of each query: the best order has ``min(n, k)`` ones in front.
        k: answers looked at.
        ideal: (N, M) gains of the best order, falling, instead of ones: for gains other than 0 and 1.

    Returns:
        (N,) float32, 0 where nothing is relevant.

    Raises:
        ValueError: if there are fewer than k answers.

    Example:
        >>> relevance = torch.tensor([[0.0, 1.0, 0.0]])
        >>> ndcg_at(relevance, torch.tensor([1]), k=2)
        tensor([0.6309])
    """
    first = _first(relevance, k)
    discount = 1 / torch.log2(_ranks(first) + 1)
    if ideal is not None:
        best = ideal[:, :k].float() @ discount[: ideal.shape[1]]
    else:
        upto = torch.nn.functional.pad(discount.cumsum(0), (1, 0))
        best = upto[n_relevant.long().clamp(min=0, max=k)]
    return _per(first @ discount, best)


Measure = Callable[..., Tensor]

MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "hit_rate": hit_rate_at,
        "map": map_at,
        "mrr": mrr_at,
        "ndcg": ndcg_at,
        "precision": precision_at,
        "recall": recall_at,
    }
)


def _first(relevance: Tensor, k: int) -> Tensor:
    if relevance.dim() != 2:
        raise ValueError(
            f"relevance has shape {tuple(relevance.shape)}, but must be (N, K): one row per query"
        )
    if not 1 <= k <= relevance.shape[1]:
        raise ValueError(
            f"k is {k}, but there are {relevance.shape[1]} answers for each query: "
            "ask the catalogue for more answers, or choose k from 1 to that number"
        )
    return relevance[:, :k].float()


def _ranks(first: Tensor) -> Tensor:
    return torch.arange(1, first.shape[1] + 1, device=first.device, dtype=torch.float32)


def _per(total: Tensor, count: Tensor) -> Tensor:
    return torch.where(count > 0, total / count.float(), 0.0)
