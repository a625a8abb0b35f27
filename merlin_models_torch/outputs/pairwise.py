"""Losses of a positive item against some negatives: functions of their scores."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def sampled_softmax_loss(positive: Tensor, negative: Tensor, usable: Tensor | None = None) -> Tensor:
    """Cross entropy of the positive among itself and the negatives: ``log(e^p + sum_j e^{n_j}) - p``.

    With the scores of negatives corrected by logQ, ``n - log E``, E the expected times that an item is drawn,
    it approaches the softmax over the catalogue (Bengio and Senecal 2008).

    Args:
        positive: (N,) float scores.
        negative: (N, M) float scores.
        usable: (N, M) bool, which of them count; all if not given.

    Returns:
        (N,) float, 0 where no negative counts.

    Example:
        >>> sampled_softmax_loss(torch.tensor([0.0]), torch.zeros(1, 3))
        tensor([1.3863])
        >>> usable = torch.tensor([[True, False, False]])
        >>> sampled_softmax_loss(torch.tensor([0.0]), torch.zeros(1, 3), usable)
        tensor([0.6931])
    """
    if usable is not None:
        negative = negative.masked_fill(~usable, -torch.inf)
    return torch.cat([positive[:, None], negative], 1).logsumexp(1) - positive


def bce_loss(positive: Tensor, negative: Tensor, usable: Tensor | None = None) -> Tensor:
    """Binary cross entropy: ``-(log s(p) + sum_j log(1 - s(n_j))) / (1 + M)``, ``s`` the sigmoid.

    The loss of SASRec (Kang and McAuley 2018), for any number of negatives.

    Args:
        positive: (N,) float scores.
        negative: (N, M) float scores.
        usable: (N, M) bool, which of them count; all if not given.

    Returns:
        (N,) float.

    Example:
        >>> bce_loss(torch.tensor([0.0]), torch.tensor([[0.0, 0.0]]))
        tensor([0.6931])
    """
    return gbce_loss(positive, negative, usable, sampling_rate=1.0, calibration=0.0)


def gbce_loss(
    positive: Tensor,
    negative: Tensor,
    usable: Tensor | None = None,
    *,
    sampling_rate: float,
    calibration: float = 0.75,
) -> Tensor:
    """Generalised binary cross entropy, which undoes the overconfidence that comes from few negatives.

    ``-(b log s(p) + sum_j log(1 - s(n_j))) / (1 + M)`` with ``b = a (t (1 - 1/a) + 1/a)``: gBCE of
    gSASRec (Petrov and Macdonald 2023). ``t = 0`` is plain binary cross entropy, with ``t = 1`` the sigmoid
    of a score becomes a calibrated probability.

    Args:
        positive: (N,) float scores.
        negative: (N, M) float scores.
        usable: (N, M) bool, which of them count; all if not given.
        sampling_rate: a, negatives over the items of the catalogue less one, above 0 and at most 1.
        calibration: t, from 0 to 1.

    Returns:
        (N,) float.

    Raises:
        ValueError: if a number is out of its range.

    Example:
        >>> positive, negative = torch.tensor([0.0]), torch.tensor([[0.0, 0.0]])
        >>> gbce_loss(positive, negative, sampling_rate=0.1, calibration=0.0)
        tensor([0.6931])
        >>> gbce_loss(positive, negative, sampling_rate=0.1, calibration=1.0)
        tensor([0.4852])
    """
    if not 0 < sampling_rate <= 1 or not 0 <= calibration <= 1:
        raise ValueError(
            f"sampling_rate and calibration are {sampling_rate} and {calibration}, expected numbers above 0 "
            "and from 0, each up to 1"
        )
    power = sampling_rate * (calibration * (1 - 1 / sampling_rate) + 1 / sampling_rate)
    against = logsigmoid(-negative)
    count = negative.new_tensor(negative.shape[1])
    if usable is not None:
        against, count = against * usable, usable.sum(1)
    return -(power * logsigmoid(positive) + against.sum(1)) / (1 + count)


def bpr_loss(positive: Tensor, negative: Tensor, usable: Tensor | None = None) -> Tensor:
    """``-sum_j log s(p - n_j) / M``, ``s`` the sigmoid; the same as ``log(1 + exp(n_j - p))``.

    Source: Rendle et al. 2009, Bayesian personalised ranking.

    Args:
        positive: (N,) float scores.
        negative: (N, M) float scores.
        usable: (N, M) bool, which of them count; all if not given.

    Returns:
        (N,) float, 0 where no negative counts.

    Example:
        >>> bpr_loss(torch.tensor([0.0]), torch.tensor([[0.0, 0.0]]))
        tensor([0.6931])
    """
    return _mean(-logsigmoid(positive[:, None] - negative), usable)


def top1_loss(positive: Tensor, negative: Tensor, usable: Tensor | None = None) -> Tensor:
    """``sum_j (s(n_j - p) + s(n_j^2)) / M``, ``s`` the sigmoid.

    Source: Hidasi et al. 2016, TOP1 of GRU4Rec.

    Args:
        positive: (N,) float scores.
        negative: (N, M) float scores.
        usable: (N, M) bool, which of them count; all if not given.

    Returns:
        (N,) float, 0 where no negative counts.

    Example:
        >>> top1_loss(torch.tensor([0.0]), torch.tensor([[0.0, 0.0]]))
        tensor([1.])
    """
    return _mean((negative - positive[:, None]).sigmoid() + (negative**2).sigmoid(), usable)


def hinge_loss(positive: Tensor, negative: Tensor, usable: Tensor | None = None) -> Tensor:
    """``sum_j max(0, 1 + n_j - p) / M``: each pair should be apart by a margin of 1.

    Args:
        positive: (N,) float scores.
        negative: (N, M) float scores.
        usable: (N, M) bool, which of them count; all if not given.

    Returns:
        (N,) float, 0 where no negative counts.

    Example:
        >>> hinge_loss(torch.tensor([0.5]), torch.tensor([[0.0, -1.0]]))
        tensor([0.2500])
    """
    return _mean((1 + negative - positive[:, None]).relu(), usable)


def bpr_max_loss(
    positive: Tensor, negative: Tensor, usable: Tensor | None = None, *, penalty: float = 1.0
) -> Tensor:
    """``-log sum_j w_j s(p - n_j) + penalty * sum_j w_j n_j^2``, ``w`` the softmax of the negatives' scores.

    Source: Hidasi and Karatzoglou 2018, BPR-max with score regularisation.

    Args:
        positive: (N,) float scores.
        negative: (N, M) float scores.
        usable: (N, M) bool, which of them count; all if not given.
        penalty: of large scores of negatives.

    Returns:
        (N,) float, 0 where no negative counts.

    Example:
        >>> bpr_max_loss(torch.tensor([0.0]), torch.tensor([[0.0, 0.0]]), penalty=0.0)
        tensor([0.6931])
    """
    log_share, negative, some = _shares(negative, usable)
    likelihood = (log_share + logsigmoid(positive[:, None] - negative)).logsumexp(1)
    size = (log_share.exp() * negative**2).sum(1)
    return torch.where(some, penalty * size - likelihood, 0.0)


def top1_max_loss(positive: Tensor, negative: Tensor, usable: Tensor | None = None) -> Tensor:
    """``sum_j w_j (s(n_j - p) + s(n_j^2))``, ``w`` the softmax of the negatives' scores.

    Source: Hidasi and Karatzoglou 2018, TOP1-max.

    Args:
        positive: (N,) float scores.
        negative: (N, M) float scores.
        usable: (N, M) bool, which of them count; all if not given.

    Returns:
        (N,) float, 0 where no negative counts.

    Example:
        >>> top1_max_loss(torch.tensor([0.0]), torch.tensor([[0.0, 0.0]]))
        tensor([1.])
    """
    log_share, negative, some = _shares(negative, usable)
    each = (negative - positive[:, None]).sigmoid() + (negative**2).sigmoid()
    return torch.where(some, (log_share.exp() * each).sum(1), 0.0)


def _mean(each: Tensor, usable: Tensor | None) -> Tensor:
    """(N,) mean over the usable ones of (N, M)."""
    if usable is None:
        usable = torch.ones_like(each, dtype=torch.bool)
    return each.masked_fill(~usable, 0.0).sum(1) / usable.sum(1).clamp(min=1)


def _shares(negative: Tensor, usable: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Log-softmax over the usable negatives, their scores with 0 elsewhere, and which rows have some."""
    if usable is None:
        usable = torch.ones_like(negative, dtype=torch.bool)
    # A very small number instead of -inf, whose gradient would be nan in rows without a usable one.
    lowest = torch.finfo(negative.dtype).min / 4
    log_share = negative.masked_fill(~usable, lowest).log_softmax(1)
    return log_share, negative.masked_fill(~usable, 0.0), usable.any(1)
